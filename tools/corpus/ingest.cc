#include "tools/corpus/ingest.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "simdjson.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {
namespace {

namespace json = simdjson::dom;

constexpr char kNoDomain[] = "text";
// Bad lines are shown up to here and only counted after.
constexpr int64_t kShownErrors = 20;

// The text of a key; none: not there. INVALID_ARGUMENT: no text.
absl::StatusOr<std::optional<std::string>> TextOf(const json::object& object,
                                                  const char* key) {
  json::element value;
  if (object.at_key(key).get(value) != simdjson::SUCCESS) return std::nullopt;
  if (!value.is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is no text"));
  }
  const auto view = value.get_string().value_unsafe();
  return std::string(view.data(), view.size());
}

absl::StatusOr<InputLine> ParseWith(json::parser& parser,
                                    absl::string_view line) {
  if (!simdjson::validate_utf8(line.data(), line.size())) {
    return absl::InvalidArgumentError("not UTF-8");
  }
  json::object object;
  const auto error =
      parser.parse(line.data(), line.size(), /*realloc_if_needed=*/true)
          .get(object);
  if (error == simdjson::INCORRECT_TYPE) {
    return absl::InvalidArgumentError("no JSON object");
  }
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON: ", simdjson::error_message(error)));
  }
  LORY_ASSIGN_OR_RETURN(auto text, TextOf(object, "text"));
  LORY_ASSIGN_OR_RETURN(auto name, TextOf(object, "id"));
  LORY_ASSIGN_OR_RETURN(auto domain, TextOf(object, "domain"));
  if (!text) return absl::InvalidArgumentError("no \"text\"");
  if (domain && !IsDomainName(*domain)) {
    return absl::InvalidArgumentError(
        "\"domain\" must be 1 to 64 letters, digits, '-', '_' or '.'");
  }
  return InputLine{*std::move(text), std::move(name).value_or(""),
                   std::move(domain).value_or("")};
}

// The state of one ingestion.
class Ingestion {
 public:
  Ingestion(std::unique_ptr<DocumentStoreWriter> writer, int64_t max_errors,
            Progress& progress)
      : writer_(std::move(writer)),
        max_errors_(max_errors),
        progress_(progress) {}

  absl::Status ReadFile(const CorpusInput& input) {
    LORY_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> lines,
                          LineReader::Open(input.path));
    for (int64_t number = 1;; ++number) {
      LORY_ASSIGN_OR_RETURN(const auto line, lines->Next());
      if (!line) return absl::OkStatus();
      progress_.Advance(static_cast<int64_t>(line->size()));
      // Blank lines are no documents and no mistakes.
      if (absl::StripAsciiWhitespace(*line).empty()) continue;
      absl::StatusOr<InputLine> parsed = ParseWith(parser_, *line);
      if (!parsed.ok()) {
        LORY_RETURN_IF_ERROR(CountBad(absl::StrCat(
            input.path, ":", number, ": ", parsed.status().message())));
        continue;
      }
      LORY_RETURN_IF_ERROR(Take(*parsed, input));
    }
  }

  absl::StatusOr<StageResult> Finish() {
    if (writer_->document_count() == 0) {
      return absl::InvalidArgumentError(
          "the corpus is empty: no line of the inputs is a document");
    }
    LORY_RETURN_IF_ERROR(writer_->Finish());
    StageResult result;
    result.files = DocumentStoreWriter::Files();
    result.figures = {
        {"documents", static_cast<double>(writer_->document_count())},
        {"domains", static_cast<double>(writer_->domain_count())},
        {"text_bytes", static_cast<double>(text_bytes_)},
        {"bad_lines", static_cast<double>(bad_)},
        {"duplicates", static_cast<double>(duplicates_)},
        {"empty", static_cast<double>(empty_)}};
    result.summary = absl::StrFormat(
        "%d documents, %.1f MB, %d domains; %d duplicates, %d empty, %d bad "
        "lines",
        writer_->document_count(), static_cast<double>(text_bytes_) / 1e6,
        writer_->domain_count(), duplicates_, empty_, bad_);
    return result;
  }

 private:
  absl::Status CountBad(std::string what) {
    if (++bad_ <= kShownErrors) progress_.Say(what);
    if (bad_ <= max_errors_) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", max_errors_,
                     " bad lines (max_errors), the last: ", what));
  }

  absl::Status Take(const InputLine& line, const CorpusInput& input) {
    if (absl::StripAsciiWhitespace(line.text).empty()) {
      ++empty_;
      return absl::OkStatus();
    }
    const DocumentId id = IdOfText(line.text);
    if (!seen_.insert(id).second) {
      ++duplicates_;
      return absl::OkStatus();
    }
    text_bytes_ += static_cast<int64_t>(line.text.size());
    const std::string& domain =
        !input.domain.empty() ? input.domain : line.domain;
    return writer_->Append(id, line.name, domain.empty() ? kNoDomain : domain,
                           line.text);
  }

  std::unique_ptr<DocumentStoreWriter> writer_;
  const int64_t max_errors_;
  Progress& progress_;
  json::parser parser_;
  absl::flat_hash_set<DocumentId> seen_;
  int64_t text_bytes_ = 0;
  int64_t bad_ = 0;
  int64_t duplicates_ = 0;
  int64_t empty_ = 0;
};

}  // namespace

absl::StatusOr<InputLine> ParseInputLine(absl::string_view line) {
  json::parser parser;
  return ParseWith(parser, line);
}

absl::StatusOr<StageResult> Ingest(const std::vector<CorpusInput>& inputs,
                                   int64_t max_errors,
                                   const std::string& folder,
                                   Progress& progress) {
  // Compressed inputs have no total that is known before the end.
  int64_t total = 0;
  for (const CorpusInput& input : inputs) {
    const std::string kind = std::filesystem::path(input.path).extension();
    LORY_ASSIGN_OR_RETURN(const int64_t bytes,
                          io::LocalStorage().Size(input.path));
    total = total < 0 || kind == ".gz" || kind == ".zst" ? -1 : total + bytes;
  }
  progress.Start("ingest", std::max<int64_t>(total, 0));
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<DocumentStoreWriter> writer,
                        DocumentStoreWriter::Create(folder));
  Ingestion ingestion(std::move(writer), max_errors, progress);
  for (const CorpusInput& input : inputs) {
    LORY_RETURN_IF_ERROR(ingestion.ReadFile(input));
  }
  return ingestion.Finish();
}

}  // namespace lory::corpus
