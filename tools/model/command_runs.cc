#include "tools/model/command_runs.h"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "common/text/utf8.h"
#include "tools/model/checkpoint_folder.h"
#include "tools/model/diff.h"
#include "tools/model/hugging_face_config.h"
#include "tools/model/hugging_face_export.h"
#include "tools/model/hugging_face_import.h"
#include "tools/model/inspect.h"
#include "tools/model/logits.h"
#include "tools/model/output_folder.h"
#include "tools/model/parents.h"
#include "tools/model/routing_choice.h"
#include "tools/model/save_model.h"
#include "tools/model/tokenizer_file.h"
#include "tools/model/weight_ensemble.h"
#include "worker/checkpoint/committed_folder.h"
#include "worker/model/merge_experts.h"
#include "worker/model/upcycle.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

using ::lory::io::DType;
using ::lory::model::Transformer;
using ::lory::train::GuardTorch;
using ModelPointer = std::unique_ptr<Transformer>;

// That `text`, of a flag or a file, is one that can be asked about.
absl::Status CheckText(absl::string_view where, absl::string_view text) {
  if (!text.empty()) return lory::text::CheckUtf8(where, text);
  return absl::InvalidArgumentError(
      absl::StrCat(where, " is empty; give a text"));
}

absl::StatusOr<RoutingChoice> ChoiceOf(const Flags& flags) {
  using Kind = RoutingChoice::Kind;
  if (!flags.routing.empty()) return RoutingChoice{Kind::kUniform, ""};
  if (flags.prompt) {
    LORY_RETURN_IF_ERROR(CheckText("--prompt", *flags.prompt));
    return RoutingChoice{Kind::kPrompt, *flags.prompt};
  }
  for (const auto& [kind, path] :
       {std::pair(Kind::kPrompt, flags.prompt_file),
        std::pair(Kind::kText, flags.routing_text)}) {
    if (path.empty()) continue;
    LORY_ASSIGN_OR_RETURN(std::string text,
                          lory::io::LocalStorage().Read(path));
    LORY_RETURN_IF_ERROR(CheckText(path, text));
    return RoutingChoice{kind, std::move(text)};
  }
  return RoutingChoice{};
}

absl::StatusOr<std::optional<TokenizerFile>> TokenizerOf(
    const Flags& flags, const LoadedCheckpoint& checkpoint) {
  if (flags.tokenizer.empty()) return std::nullopt;
  LORY_ASSIGN_OR_RETURN(TokenizerFile file,
                        OpenTokenizer(flags.tokenizer, WantedOf(checkpoint)));
  return std::optional<TokenizerFile>(std::move(file));
}

const TokenizerFile* PointerTo(const std::optional<TokenizerFile>& file) {
  return file ? &*file : nullptr;
}

DType DTypeOf(const Flags& flags) {
  if (flags.dtype == "bf16") return DType::kBf16;
  return flags.dtype == "fp16" ? DType::kF16 : DType::kF32;
}

// SHA-256 of the tokenizer that a Hugging Face folder's model was trained with:
// of the file, of two the one that our export wrote down, or that for want of
// any.
absl::StatusOr<std::string> TokenizerBeside(const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(
      const std::string config,
      lory::io::LocalStorage().Read(absl::StrCat(folder, "/", kConfigFile)));
  const std::string known = TokenizerOfOrigin(config);
  LORY_ASSIGN_OR_RETURN(const std::string file,
                        lory::text::TokenizerPathOf(folder, known));
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return known;
  return lory::io::FileSha256Hex(file);
}

// Of a folder with two tokenizers, which of them the model is taken to have: a
// line for people.
std::string WhichTokenizer(const std::string& folder,
                           const std::string& sha256) {
  const auto is_there = [&](const char* name) {
    std::error_code error;
    return std::filesystem::exists(absl::StrCat(folder, "/", name), error);
  };
  if (!is_there(lory::text::kTokenizerFile) ||
      !is_there(lory::text::kSentencePieceFile)) {
    return "";
  }
  const auto path = lory::text::TokenizerPathOf(folder, sha256);
  if (!path.ok()) return "";
  const std::string taken = std::filesystem::path(*path).filename().string();
  return absl::StrCat("of its two tokenizers ", taken,
                      " is taken for the model's: datasets ",
                      "for it are made with that one\n");
}

// Writes `model` where --to says and says so.
absl::StatusOr<Answer> Save(const Transformer& model, SaveTarget target,
                            const Flags& flags) {
  target.to = flags.to;
  target.force = flags.force;
  LORY_ASSIGN_OR_RETURN(std::string text, SaveModel(model, target));
  return Answer{std::move(text)};
}

absl::StatusOr<std::vector<int64_t>> ParseTokens(const std::string& text) {
  std::vector<int64_t> tokens;
  for (const absl::string_view word : absl::StrSplit(text, ',')) {
    if (!absl::SimpleAtoi(word, &tokens.emplace_back())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--tokens: \"", word, "\" is no token's number; give 5,17,3"));
    }
  }
  return tokens;
}

}  // namespace

absl::StatusOr<Answer> RunInspect(const Flags& flags) {
  if (!flags.preset.name.empty()) {
    LORY_ASSIGN_OR_RETURN(const PresetFigures figures,
                          FiguresOfPreset(flags.preset));
    return Answer{flags.format == "json" ? ToJson(figures) : ToText(figures)};
  }
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint checkpoint,
                        LoadCheckpoint(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(const Inspection inspection, Inspect(checkpoint));
  return Answer{flags.format == "json" ? ToJson(inspection)
                                       : ToText(inspection)};
}

// An export takes the place of all that its folder holds.
absl::Status CheckKeepsTokenizer(const Flags& flags) {
  namespace fs = std::filesystem;
  if (flags.tokenizer.empty()) return absl::OkStatus();
  std::error_code error;
  fs::path folder = flags.tokenizer;
  if (!fs::is_directory(folder, error)) folder = folder.parent_path();
  if (folder.empty()) folder = ".";
  if (!fs::equivalent(folder, flags.to, error)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      flags.to, " is the folder of --tokenizer; name another with --to"));
}

absl::StatusOr<Answer> RunExport(const Flags& flags) {
  LORY_RETURN_IF_ERROR(CheckOutsideOf(flags.checkpoint, flags.to));
  LORY_RETURN_IF_ERROR(CheckKeepsTokenizer(flags));
  LORY_ASSIGN_OR_RETURN(const RoutingChoice choice, ChoiceOf(flags));
  LORY_ASSIGN_OR_RETURN(LoadedCheckpoint checkpoint,
                        LoadCheckpoint(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(const std::optional<TokenizerFile> tokenizer,
                        TokenizerOf(flags, checkpoint));
  LORY_ASSIGN_OR_RETURN(
      const ModelPointer model,
      AsRouted(std::move(checkpoint.model), choice, PointerTo(tokenizer)));
  std::string origin = OriginName(checkpoint.manifest);
  if (choice.kind != RoutingChoice::Kind::kNone) {
    absl::StrAppend(&origin, " ", DescribeRouting(choice));
  }
  const DType dtype = DTypeOf(flags);
  LORY_ASSIGN_OR_RETURN(
      const ExportResult result,
      ExportHuggingFace(
          *model, {.folder = flags.to,
                   .force = flags.force,
                   .origin = origin,
                   .dtype = dtype,
                   .tokenizer = PointerTo(tokenizer),
                   .notes = NotesOf(checkpoint.manifest.spec),
                   .tokenizer_sha256 = checkpoint.manifest.tokenizer_sha256}));
  std::string text = absl::StrCat(
      flags.to, ": ", HuggingFaceArchitecture(model->shape()), ", ", origin);
  if (!tokenizer) {
    text += "; without tokenizer files, for want of --tokenizer";
    if (!checkpoint.manifest.tokenizer_sha256.empty()) {
      absl::StrAppend(&text, " (", kConfigFile, " has its SHA-256)");
    }
  }
  text += result.tokenizer_difference;
  if (result.underflow_count > 0) {
    absl::StrAppend(&text, "; ", result.underflow_count,
                    " weights were too small for ", flags.dtype,
                    " and became 0",
                    dtype == DType::kF16 ? ", which --dtype bf16 keeps" : "");
  }
  return Answer{text + "\n"};
}

absl::StatusOr<Answer> RunImport(const Flags& flags) {
  LORY_RETURN_IF_ERROR(CheckOutsideOf(flags.checkpoint, flags.to));
  LORY_ASSIGN_OR_RETURN(const ModelPointer model,
                        ImportHuggingFace(flags.checkpoint));
  SaveTarget target{.verb = "import",
                    .note = "import of " + BaseName(flags.checkpoint)};
  LORY_ASSIGN_OR_RETURN(target.tokenizer_sha256,
                        TokenizerBeside(flags.checkpoint));
  const int64_t vocabulary_size = model->shape().vocabulary_size;
  LORY_ASSIGN_OR_RETURN(target.notes,
                        ReadGenerationNotes(flags.checkpoint, vocabulary_size));
  const std::string words =
      absl::StrCat(target.notes.words,
                   WhichTokenizer(flags.checkpoint, target.tokenizer_sha256));
  LORY_ASSIGN_OR_RETURN(Answer answer, Save(*model, std::move(target), flags));
  absl::StrAppend(&answer.text, words,
                  WhyTokenizerIsOfNoUse(flags.checkpoint, vocabulary_size));
  return answer;
}

absl::StatusOr<Answer> RunConvert(const Flags& flags) {
  const auto has = [&](const char* file) {
    std::error_code error;
    return std::filesystem::exists(absl::StrCat(flags.checkpoint, "/", file),
                                   error);
  };
  const bool is_ours = has(lory::checkpoint::kManifestFile);
  if (is_ours && has(kConfigFile)) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.checkpoint, " has both ", lory::checkpoint::kManifestFile,
        ", as a checkpoint of ours, and ", kConfigFile,
        ", as a Hugging Face folder: `lory-model export` takes the former, "
        "`lory-model import` the latter"));
  }
  if (is_ours) return RunExport(flags);
  if (!has(kConfigFile)) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.checkpoint, " has neither ", lory::checkpoint::kManifestFile,
        ", as a checkpoint of ours, nor ", kConfigFile,
        ", as a Hugging Face folder; give the folder that has"));
  }
  const bool asks_for_export =
      flags.prompt.has_value() || !flags.prompt_file.empty() ||
      !flags.routing.empty() || !flags.routing_text.empty() ||
      !flags.tokenizer.empty() || flags.dtype != "fp32";
  if (asks_for_export) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.checkpoint,
        " is a Hugging Face folder, which becomes a checkpoint as it is: leave "
        "out the routing, --tokenizer and --dtype"));
  }
  return RunImport(flags);
}

absl::StatusOr<Answer> RunLogits(const Flags& flags) {
  if (!flags.to.empty()) {
    LORY_RETURN_IF_ERROR(CheckOutsideOf(flags.checkpoint, flags.to));
  }
  std::error_code error;
  if (!flags.force && std::filesystem::exists(flags.to, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(flags.to, " is there; --force replaces it"));
  }
  LORY_ASSIGN_OR_RETURN(const RoutingChoice choice, ChoiceOf(flags));
  LORY_ASSIGN_OR_RETURN(LoadedCheckpoint checkpoint,
                        LoadCheckpoint(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(const std::optional<TokenizerFile> tokenizer,
                        TokenizerOf(flags, checkpoint));
  ModelPointer model = std::move(checkpoint.model);
  if (choice.kind != RoutingChoice::Kind::kNone) {
    LORY_ASSIGN_OR_RETURN(
        model, AsRouted(std::move(model), choice, PointerTo(tokenizer)));
  } else if (IsLory(*model) && flags.inference == "prompt") {
    LORY_ASSIGN_OR_RETURN(model, GuardTorch("routing", [&] {
                            return lory::model::WithOneSegment(*model);
                          }));
  }
  std::vector<int64_t> tokens;
  if (flags.tokens) {
    LORY_ASSIGN_OR_RETURN(tokens, ParseTokens(*flags.tokens));
  } else {
    if (!tokenizer) {
      return absl::InvalidArgumentError(
          "--text needs --tokenizer PATH, or give --tokens");
    }
    LORY_RETURN_IF_ERROR(lory::text::CheckUtf8("--text", flags.text));
    tokens = EncodePrompt(*tokenizer, flags.text);
  }
  LORY_ASSIGN_OR_RETURN(const at::Tensor logits, ComputeLogits(*model, tokens));
  if (flags.to.empty()) {
    return Answer{TopTokens(logits, flags.top, PointerTo(tokenizer))};
  }
  LORY_RETURN_IF_ERROR(WriteLogits(flags.to, tokens, logits));
  return Answer{};
}

absl::StatusOr<Answer> RunDiff(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint a,
                        LoadCheckpoint(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint b, LoadCheckpoint(flags.other));
  LORY_ASSIGN_OR_RETURN(const ModelDifference difference,
                        Compare(*a.model, *b.model));
  return Answer{
      flags.format == "json" ? ToJson(difference) : ToText(difference),
      !difference.empty()};
}

absl::StatusOr<Answer> RunUpcycle(const Flags& flags) {
  LORY_RETURN_IF_ERROR(CheckOutsideOf(flags.checkpoint, flags.to));
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint dense,
                        LoadCheckpoint(flags.checkpoint));
  lory::v1::ModelSpec spec = SpecAsIs(*dense.model);
  auto& lory = *spec.mutable_feed_forward()->mutable_lory();
  auto policy = lory::v1::LoryFeedForward::SELF_STOP_GRADIENT;
  lory::v1::LoryFeedForward::FirstSegment_Parse(
      absl::AsciiStrToUpper(flags.first_segment), &policy);
  lory.set_expert_count(flags.expert_count);
  lory.set_segment_length(flags.segment_length);
  lory.set_first_segment(policy);
  lory.set_router_init_stddev(flags.router_stddev);
  lory.set_dense_fraction(-1);
  LORY_ASSIGN_OR_RETURN(
      const ModelPointer model, GuardTorch("making experts", [&] {
        return lory::model::UpcycleToExperts(*dense.model, spec,
                                             static_cast<uint64_t>(flags.seed));
      }));
  LORY_ASSIGN_OR_RETURN(const int64_t nonfinite, NonfiniteCount(*dense.model));
  LORY_RETURN_IF_ERROR(CheckFinite(*model, nonfinite, "--router-stddev"));
  return Save(*model,
              {.verb = "upcycle",
               .note = absl::StrCat("upcycling of ", OriginName(dense.manifest),
                                    " to ", flags.expert_count, " experts"),
               .tokenizer_sha256 = dense.manifest.tokenizer_sha256,
               .notes = NotesOf(dense.manifest.spec)},
              flags);
}

absl::StatusOr<Answer> RunEnsemble(const Flags& flags) {
  LORY_RETURN_IF_ERROR(CheckOutsideOf(flags.checkpoint, flags.to));
  for (const std::string& path : flags.add) {
    LORY_RETURN_IF_ERROR(CheckOutsideOf(path, flags.to));
  }
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint base,
                        LoadCheckpoint(flags.checkpoint));
  Parents parents;
  LORY_RETURN_IF_ERROR(parents.Add(base));
  std::vector<ModelPointer> tuned;
  std::vector<std::string> names;
  for (const std::string& path : flags.add) {
    LORY_ASSIGN_OR_RETURN(LoadedCheckpoint loaded, LoadCheckpoint(path));
    LORY_RETURN_IF_ERROR(parents.Add(loaded));
    tuned.push_back(std::move(loaded.model));
    names.push_back(OriginName(loaded.manifest));
  }
  lory::v1::WeightEnsemblingFeedForward options;
  auto gate = lory::v1::WeightEnsemblingFeedForward::TWO_LAYERS;
  lory::v1::WeightEnsemblingFeedForward::Gate_Parse(
      absl::AsciiStrToUpper(flags.gate), &gate);
  options.set_gate(gate);
  options.set_pool_length(flags.pool_length);
  options.set_allow_noncausal(flags.allow_noncausal);
  options.set_initial_weight(flags.initial_weight);
  LORY_ASSIGN_OR_RETURN(const ModelPointer model,
                        MakeWeightEnsemble(*base.model, tuned, options,
                                           static_cast<uint64_t>(flags.seed)));
  LORY_ASSIGN_OR_RETURN(int64_t nonfinite, NonfiniteCount(*base.model));
  for (const ModelPointer& each : tuned) {
    LORY_ASSIGN_OR_RETURN(const int64_t more, NonfiniteCount(*each));
    nonfinite += more;
  }
  LORY_RETURN_IF_ERROR(CheckFinite(*model, nonfinite, "--initial-weight"));
  return Save(*model,
              {.verb = "ensemble",
               .note = absl::StrCat("ensemble of ", OriginName(base.manifest),
                                    " and ", absl::StrJoin(names, ", ")),
               .tokenizer_sha256 = parents.tokenizer_sha256(),
               .notes = NotesOf(base.manifest.spec)},
              flags);
}

}  // namespace lory::surgery
