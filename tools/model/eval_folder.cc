#include "tools/model/eval_folder.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "tools/model/eval/heat_map.h"
#include "tools/model/eval/report.h"
#include "tools/model/eval/tables.h"
#include "tools/model/output_folder.h"

namespace lory::surgery {
namespace {

using ::lory::eval::Evaluation;

constexpr char kReport[] = "evaluation.json";
constexpr char kDomains[] = "domains.csv";
constexpr char kRouting[] = "routing.csv";
constexpr char kSpecialisation[] = "specialisation.csv";
constexpr char kPicture[] = "specialisation.svg";
constexpr char kTokens[] = "tokens.csv";
constexpr char kTasks[] = "tasks.csv";
constexpr char kItems[] = "items.jsonl";

// Whether `folder` is what WriteEvaluationFolder wrote, and nothing beside it.
absl::Status CheckEarlierEvaluation(const std::string& folder) {
  const absl::StatusOr<std::string> text =
      lory::io::LocalStorage().Read(absl::StrCat(folder, "/", kReport));
  const auto json = nlohmann::json::parse(text.value_or(""), nullptr,
                                          /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("kind") ||
      json["kind"] != lory::eval::kEvaluationKind) {
    return absl::FailedPreconditionError(
        absl::StrCat("it has no ", kReport, " of lory-model"));
  }
  return OnlyFiles(folder, {kReport, kDomains, kRouting, kSpecialisation,
                            kPicture, kTokens, kTasks, kItems});
}

OutputOptions OptionsOf(bool force) {
  return {.check_earlier = CheckEarlierEvaluation, .force = force};
}

std::map<std::string, std::string> FilesOf(const Evaluation& evaluation) {
  std::map<std::string, std::string> files = {
      {kReport, lory::eval::ToJson(evaluation)}};
  if (!evaluation.texts.empty()) {
    files[kDomains] = lory::eval::DomainsCsv(evaluation);
  }
  if (evaluation.routing) {
    files[kRouting] = lory::eval::RoutingCsv(evaluation);
    files[kSpecialisation] = lory::eval::SpecialisationCsv(evaluation);
    files[kPicture] = lory::eval::SpecialisationSvg(evaluation);
  }
  if (!evaluation.tokens.empty()) {
    files[kTokens] = lory::eval::TokensCsv(evaluation);
  }
  if (!evaluation.runs.empty()) {
    files[kTasks] = lory::eval::TasksCsv(evaluation);
    files[kItems] = lory::eval::ItemsJsonLines(evaluation);
  }
  return files;
}

}  // namespace

absl::Status CheckEvaluationFolder(const std::string& folder, bool force) {
  return OutputFolder::Begin(folder, OptionsOf(force)).status();
}

absl::Status WriteEvaluationFolder(const Evaluation& evaluation,
                                   const std::string& folder, bool force) {
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<OutputFolder> output,
                        OutputFolder::Begin(folder, OptionsOf(force)));
  for (const auto& [name, text] : FilesOf(evaluation)) {
    LORY_RETURN_IF_ERROR(lory::io::LocalStorage().Write(
        absl::StrCat(output->path(), "/", name), text));
  }
  return output->Commit();
}

}  // namespace lory::surgery
