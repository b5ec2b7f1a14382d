#include "tools/model/eval_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/progress.h"
#include "common/base/status_macros.h"
#include "common/config/feed_forward_shape.h"
#include "common/data/dataset.h"
#include "common/flags/value_checks.h"
#include "common/io/storage.h"
#include "common/text/utf8.h"
#include "tools/model/checkpoint_folder.h"
#include "tools/model/eval/evaluate.h"
#include "tools/model/eval/report.h"
#include "tools/model/eval_folder.h"
#include "tools/model/model_dataset.h"
#include "tools/model/tokenizer_file.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::data::Dataset;
using ::lory::eval::Evaluation;
using ::lory::eval::Inference;
using ::lory::eval::Request;
using ::lory::eval::TextSet;
using ::lory::model::Transformer;

// What the flags name, opened. Texts read from the dataset.
struct Inputs {
  std::unique_ptr<Dataset> dataset;
  std::optional<TokenizerFile> tokenizer;
  Request request;
};

// --tokenizer, else the dataset's if it is there. It must be that of the
// checkpoint or, of one that does not tell, of the dataset's tokens.
absl::StatusOr<std::optional<TokenizerFile>> FindTokenizer(
    const EvalFlags& flags, const Dataset* dataset,
    const LoadedCheckpoint& checkpoint) {
  std::string path = flags.tokenizer;
  if (path.empty() && dataset != nullptr) {
    const fs::path manifest = ManifestOf(flags.data);
    path = manifest.parent_path() / dataset->manifest().tokenizer_file;
    std::error_code error;
    if (!fs::exists(path, error)) path.clear();
  }
  if (path.empty()) {
    if (flags.text.empty() && flags.tasks.empty()) return std::nullopt;
    return absl::InvalidArgumentError(
        "--text and --tasks need the model's tokenizer: --tokenizer PATH, a "
        "tokenizer.json, a tokenizer.model or the dataset's folder");
  }
  lory::text::WantedTokenizer wanted = WantedOf(checkpoint);
  if (wanted.sha256.empty() && dataset != nullptr) {
    wanted.sha256 = dataset->manifest().tokenizer_sha256;
    wanted.of = "the dataset";
  }
  LORY_ASSIGN_OR_RETURN(TokenizerFile file, OpenTokenizer(path, wanted));
  return std::optional<TokenizerFile>(std::move(file));
}

absl::Status MarkKeptOut(const EvalFlags& flags, std::vector<TextSet>& sets) {
  for (const std::string& name : flags.kept_out) {
    const auto found =
        std::find_if(sets.begin(), sets.end(),
                     [&](const TextSet& set) { return set.name == name; });
    if (found == sets.end()) {
      std::vector<std::string> names;
      for (const TextSet& set : sets) names.push_back(set.name);
      return absl::InvalidArgumentError(absl::StrCat(
          "--kept-out: there is no held-out domain \"", name, "\"; there are ",
          names.empty() ? "none" : absl::StrJoin(names, ", ")));
    }
    found->kept_out = true;
  }
  return absl::OkStatus();
}

// Whether `paths` are all of different files: what is given twice would count
// twice, and seem the surer for it.
absl::Status CheckGivenOnce(const char* flag,
                            const std::vector<std::string>& paths) {
  for (size_t i = 0; i < paths.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      std::error_code error;
      if (!fs::equivalent(paths[i], paths[j], error)) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          flag, ": ", paths[i], " is given twice",
          paths[i] == paths[j] ? "" : absl::StrCat(", first as ", paths[j]),
          ": it would count twice"));
    }
  }
  return absl::OkStatus();
}

// What `name_of` calls `path`, or where it calls other paths of `all` the same,
// the path.
std::string NameAmong(const std::string& path,
                      const std::vector<std::string>& all,
                      std::string (*name_of)(absl::string_view)) {
  const std::string name = name_of(path);
  const auto is_same = [&](const std::string& other) {
    return name_of(other) == name;
  };
  return std::count_if(all.begin(), all.end(), is_same) > 1 ? path : name;
}

// What a file is called in the tables: its last part, or where other files or
// domains have the same, as it was given, with a slash.
std::string FileName(const std::string& path,
                     const std::vector<std::string>& all,
                     const std::vector<TextSet>& sets) {
  const std::string name = BaseName(path);
  const bool is_domain =
      std::any_of(sets.begin(), sets.end(),
                  [&](const TextSet& set) { return set.name == name; });
  if (is_domain) return path == name ? "./" + path : path;
  return NameAmong(path, all, BaseName);
}

absl::StatusOr<TextSet> OpenText(const std::string& path, std::string name,
                                 int64_t window, int64_t stride, int64_t limit,
                                 const TokenizerFile& tokenizer) {
  LORY_ASSIGN_OR_RETURN(const std::string text,
                        lory::io::LocalStorage().Read(path));
  LORY_RETURN_IF_ERROR(lory::text::CheckUtf8(path, text));
  std::vector<int64_t> tokens;
  const int32_t end = tokenizer.tokenizer->end_of_document_id();
  if (end >= 0) tokens.push_back(end);
  const std::vector<int64_t> encoded = EncodeText(tokenizer, text);
  tokens.insert(tokens.end(), encoded.begin(), encoded.end());
  if (tokens.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": too short, there is no token to predict"));
  }
  return lory::eval::SlidingWindows(std::move(name), std::move(tokens), window,
                                    stride, limit);
}

absl::Status AddFiles(const EvalFlags& flags, const Transformer& model,
                      const std::optional<TokenizerFile>& tokenizer,
                      std::vector<TextSet>& sets) {
  if (flags.text.empty()) {
    if (!flags.window && !flags.stride) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--window and --stride are of --text; a dataset has its sequences");
  }
  const int64_t longest = model.shape().sequence_length;
  const int64_t window = flags.window.value_or(longest);
  const int64_t stride = flags.stride.value_or(window);
  if (window < 1 || window > longest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--window is ", window, ", the model reads 1 to ", longest, " tokens"));
  }
  if (stride < 1 || stride > window) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--stride is ", stride, ", must be 1 to the window's ", window));
  }
  LORY_RETURN_IF_ERROR(CheckGivenOnce("--text", flags.text));
  for (const std::string& path : flags.text) {
    LORY_ASSIGN_OR_RETURN(
        sets.emplace_back(),
        OpenText(path, FileName(path, flags.text, sets), window, stride,
                 flags.sequences, *tokenizer));
  }
  return absl::OkStatus();
}

// What is left out by default: what sees itself, and of a model of segments,
// whatever its policy, the first; also of one that is dense as yet.
absl::StatusOr<int64_t> FirstSegment(const EvalFlags& flags,
                                     const Transformer& model,
                                     const std::vector<TextSet>& sets) {
  if (!flags.first_segment) {
    return std::max(lory::eval::FactsOf(model.shape()).leak_length,
                    lory::config::SegmentLengthOf(model.spec().feed_forward()));
  }
  for (const TextSet& set : sets) {
    if (*flags.first_segment < set.window) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--first-segment is ", *flags.first_segment,
                     ", which leaves nothing of windows of ", set.window,
                     " tokens (", set.name, ")"));
  }
  return *flags.first_segment;
}

absl::StatusOr<std::vector<lory::eval::ChoiceItem>> ReadTasks(
    const EvalFlags& flags) {
  LORY_RETURN_IF_ERROR(CheckGivenOnce("--tasks", flags.tasks));
  std::vector<lory::eval::ChoiceItem> all;
  for (const std::string& path : flags.tasks) {
    LORY_ASSIGN_OR_RETURN(const std::string text,
                          lory::io::LocalStorage().Read(path));
    LORY_ASSIGN_OR_RETURN(
        auto items,
        lory::eval::ParseChoices(
            text, path, NameAmong(path, flags.tasks, lory::eval::TaskOf)));
    for (auto& item : items) all.push_back(std::move(item));
  }
  return all;
}

absl::StatusOr<std::vector<Inference>> InferencesOf(const EvalFlags& flags,
                                                    const Transformer& model) {
  if (flags.inference && flags.tasks.empty()) {
    return absl::InvalidArgumentError(
        "--inference is of --tasks; texts are routed as in training");
  }
  if (flags.inference &&
      model.shape().feed_forward != lory::config::FeedForwardKind::kLory) {
    return absl::InvalidArgumentError(
        "--inference is of Lory models; this one knows one way only");
  }
  if (flags.inference == "prompt") return std::vector{Inference::kPrompt};
  if (flags.inference == "segment") return std::vector{Inference::kSegment};
  return std::vector{Inference::kPrompt, Inference::kSegment};
}

absl::StatusOr<Inputs> OpenInputs(const EvalFlags& flags,
                                  const LoadedCheckpoint& checkpoint) {
  if (flags.data.empty() && flags.text.empty() && flags.tasks.empty()) {
    return absl::InvalidArgumentError(
        "nothing to evaluate on: give --data DATASET, --text FILE or --tasks "
        "FILE");
  }
  const Transformer& model = *checkpoint.model;
  Inputs inputs;
  if (!flags.data.empty()) {
    LORY_ASSIGN_OR_RETURN(inputs.dataset,
                          OpenHeldOut(flags.data, model.shape(),
                                      checkpoint.manifest.tokenizer_sha256));
  }
  LORY_ASSIGN_OR_RETURN(inputs.tokenizer,
                        FindTokenizer(flags, inputs.dataset.get(), checkpoint));
  Request& request = inputs.request;
  if (inputs.tokenizer) request.tokenizer = inputs.tokenizer->tokenizer.get();
  if (inputs.dataset != nullptr) {
    request.texts = lory::eval::HeldOutSets(*inputs.dataset, flags.sequences);
  }
  LORY_RETURN_IF_ERROR(MarkKeptOut(flags, request.texts));
  LORY_RETURN_IF_ERROR(AddFiles(flags, model, inputs.tokenizer, request.texts));
  LORY_ASSIGN_OR_RETURN(request.first_segment,
                        FirstSegment(flags, model, request.texts));
  request.utilisation_window = flags.utilisation_window;
  request.marked_tokens = flags.marked_tokens;
  LORY_ASSIGN_OR_RETURN(request.items, ReadTasks(flags));
  LORY_ASSIGN_OR_RETURN(request.inferences, InferencesOf(flags, model));
  return inputs;
}

}  // namespace

absl::StatusOr<std::string> RunEval(const EvalFlags& flags) {
  if (!flags.to.empty()) {
    LORY_RETURN_IF_ERROR(CheckEvaluationFolder(flags.to, flags.force));
  }
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint checkpoint,
                        LoadCheckpoint(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(const Inputs inputs, OpenInputs(flags, checkpoint));
  Evaluation evaluation{.checkpoint = BaseName(flags.checkpoint),
                        .job = checkpoint.manifest.job,
                        .step = checkpoint.manifest.checkpoint.step()};
  if (inputs.dataset != nullptr) {
    evaluation.dataset = inputs.dataset->manifest().name;
  }
  Progress progress(RealClock(), stderr, ::isatty(STDERR_FILENO) == 1);
  LORY_RETURN_IF_ERROR(lory::eval::Evaluate(*checkpoint.model, inputs.request,
                                            progress, evaluation));
  if (!flags.to.empty()) {
    LORY_RETURN_IF_ERROR(
        WriteEvaluationFolder(evaluation, flags.to, flags.force));
  }
  return flags.format == "json" ? lory::eval::ToJson(evaluation)
                                : lory::eval::ToText(evaluation);
}

void AddEvalOptions(CLI::App& command, EvalFlags& flags) {
  command.add_option("CHECKPOINT", flags.checkpoint, "Folder step-N.gen-G")
      ->required();
  CLI::Option_group* text = command.add_option_group("Perplexity and routing");
  text->add_option("--data", flags.data,
                   "Dataset whose held-out text to predict: its folder or "
                   "manifest.json");
  text->add_option("--kept-out", flags.kept_out,
                   "Domains that the model was not trained on, if the dataset "
                   "does not say so itself");
  text->add_option("--text", flags.text, "Files of plain text to predict");
  text->add_option("--window", flags.window,
                   "Tokens of a file read at a time (default: the context)");
  text->add_option("--stride", flags.stride,
                   "From one window to the next (default: the window); tokens "
                   "are counted once");
  text->add_option("--sequences", flags.sequences,
                   "Of each domain or file at most (0: all)")
      ->check(lory::flags::FromZero());
  text->add_option("--first-segment", flags.first_segment,
                   "Positions left out of the second perplexity (default: the "
                   "model's segment or pool; give it to a dense model to "
                   "compare)")
      ->check(lory::flags::FromZero());
  text->add_option("--utilisation-window", flags.utilisation_window,
                   "Decisions in which an expert must once weigh more than "
                   "2 / E to be active (0: all)")
      ->check(lory::flags::FromZero());
  text->add_option(
          "--top", flags.marked_tokens,
          "Tokens shown of each expert, where single tokens are routed")
      ->check(lory::flags::FromZero())
      ->capture_default_str();
  CLI::Option_group* tasks = command.add_option_group("Tasks");
  tasks->add_option("--tasks", flags.tasks,
                    "JSON lines of {\"context\", \"choices\", \"answer\"}");
  tasks
      ->add_option("--inference", flags.inference,
                   "Of a Lory model: prompt, segment or both (default)")
      ->check(CLI::IsMember({"prompt", "segment", "both"}));
  command.add_option(
      "--tokenizer", flags.tokenizer,
      "tokenizer.json or tokenizer.model, or the dataset's folder "
      "(default: that of --data)");
  command.add_option("-o,--output", flags.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command.add_option("--to", flags.to, "Folder for tables and pictures")
      ->check(lory::flags::NotEmpty());
  command.add_flag("--force", flags.force, "Replace an earlier evaluation");
}

}  // namespace lory::surgery
