#include "tools/model/commands.h"

#include <ATen/core/Tensor.h>

#include <cmath>
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
#include "common/flags/value_checks.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "tools/model/checkpoint_folder.h"
#include "tools/model/diff.h"
#include "tools/model/hugging_face_config.h"
#include "tools/model/hugging_face_export.h"
#include "tools/model/hugging_face_import.h"
#include "tools/model/inspect.h"
#include "tools/model/logits.h"
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

absl::StatusOr<RoutingChoice> ChoiceOf(const Flags& flags) {
  using Kind = RoutingChoice::Kind;
  if (!flags.routing.empty()) return RoutingChoice{Kind::kUniform, ""};
  if (!flags.prompt.empty()) {
    return RoutingChoice{Kind::kPrompt, flags.prompt};
  }
  for (const auto& [kind, path] :
       {std::pair(Kind::kPrompt, flags.prompt_file),
        std::pair(Kind::kText, flags.routing_text)}) {
    if (path.empty()) continue;
    LORY_ASSIGN_OR_RETURN(std::string text,
                          lory::io::LocalStorage().Read(path));
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

absl::StatusOr<Answer> RunInspect(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint checkpoint,
                        LoadCheckpoint(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(const Inspection inspection, Inspect(checkpoint));
  return Answer{flags.format == "json" ? ToJson(inspection)
                                       : ToText(inspection)};
}

absl::StatusOr<Answer> RunExport(const Flags& flags) {
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
  LORY_RETURN_IF_ERROR(
      ExportHuggingFace(*model, {.folder = flags.to,
                                 .force = flags.force,
                                 .origin = origin,
                                 .dtype = flags.dtype == "bf16"   ? DType::kBf16
                                          : flags.dtype == "fp16" ? DType::kF16
                                                                  : DType::kF32,
                                 .tokenizer = PointerTo(tokenizer)}));
  return Answer{absl::StrCat(
      flags.to, ": ", HuggingFaceArchitecture(model->shape()), ", ", origin,
      tokenizer ? "" : "; without tokenizer files, for want of --tokenizer",
      "\n")};
}

// Writes `model` where --to says and says so.
absl::StatusOr<Answer> Save(const Transformer& model, SaveTarget target,
                            const Flags& flags) {
  target.to = flags.to;
  target.force = flags.force;
  LORY_ASSIGN_OR_RETURN(std::string text, SaveModel(model, target));
  return Answer{std::move(text)};
}

absl::StatusOr<Answer> RunImport(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(const ModelPointer model,
                        ImportHuggingFace(flags.checkpoint));
  SaveTarget target{.verb = "import",
                    .note = "import of " + BaseName(flags.checkpoint)};
  LORY_ASSIGN_OR_RETURN(target.tokenizer_sha256,
                        lory::text::TokenizerSha256(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(Answer answer, Save(*model, std::move(target), flags));
  answer.text +=
      WhyTokenizerIsOfNoUse(flags.checkpoint, model->shape().vocabulary_size);
  return answer;
}

// Ours to Hugging Face's or theirs to ours: the folder says which it is.
absl::StatusOr<Answer> RunConvert(const Flags& flags) {
  const auto has = [&](const char* file) {
    std::error_code error;
    return std::filesystem::exists(absl::StrCat(flags.checkpoint, "/", file),
                                   error);
  };
  if (has(lory::checkpoint::kManifestFile)) return RunExport(flags);
  if (!has(kConfigFile)) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.checkpoint, " has neither ", lory::checkpoint::kManifestFile,
        ", as a checkpoint of ours, nor ", kConfigFile,
        ", as a Hugging Face folder; give the folder that has"));
  }
  const bool asks_for_export =
      !flags.prompt.empty() || !flags.prompt_file.empty() ||
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

absl::StatusOr<Answer> RunLogits(const Flags& flags) {
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
    tokens = EncodeText(*tokenizer, flags.text);
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
  // 0 would be the spec's "not given".
  if (!std::isfinite(flags.router_stddev) || flags.router_stddev <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--router-stddev is ", flags.router_stddev,
                     ", not a finite number above 0"));
  }
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
               .tokenizer_sha256 = dense.manifest.tokenizer_sha256},
              flags);
}

absl::StatusOr<Answer> RunEnsemble(const Flags& flags) {
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
               .tokenizer_sha256 = parents.tokenizer_sha256()},
              flags);
}

absl::StatusOr<Answer> Merge(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(std::string text, RunMerge(flags.merge));
  return Answer{std::move(text)};
}

absl::StatusOr<Answer> Evaluate(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(std::string text, RunEval(flags.eval));
  return Answer{std::move(text)};
}

// ---- the command line ----

using Run = absl::StatusOr<Answer> (*)(const Flags&);

struct Adder {
  CLI::App& app;
  Flags& flags;
  Command& chosen;

  CLI::App* Add(const char* name, const char* what, Run run,
                bool compares = false) const {
    CLI::App* command = app.add_subcommand(name, what);
    Flags* const all = &flags;
    Command* const to = &chosen;
    command->callback([all, to, run, compares] {
      *to = {[all, run] { return run(*all); }, compares};
    });
    return command;
  }

  void Checkpoint(CLI::App* command) const {
    command->add_option("CHECKPOINT", flags.checkpoint, "Folder step-N.gen-G")
        ->required();
  }

  void Format(CLI::App* command) const {
    command->add_option("-o,--output", flags.format, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
  }

  void To(CLI::App* command, const char* what) const {
    command->add_option("--to", flags.to, what)->required();
    command->add_flag("--force", flags.force, "Replace an earlier output");
  }

  void Routing(CLI::App* command) const {
    CLI::Option_group* choice = command->add_option_group(
        "Routing of a Lory model", "Which dense model it is to be");
    choice->add_option("--prompt", flags.prompt,
                       "As the model routes when it answers this text");
    choice->add_option("--prompt-file", flags.prompt_file,
                       "The same, with the text of a file");
    choice->add_option("--routing", flags.routing, "uniform: all experts alike")
        ->check(CLI::IsMember({"uniform"}));
    choice->add_option("--routing-text", flags.routing_text,
                       "The mean routing over the segments of a file's text");
    choice->require_option(0, 1);
    command->add_option("--tokenizer", flags.tokenizer,
                        "tokenizer.json, or the dataset's folder");
  }
};

// `export`, and `convert`, which takes its options when it exports.
void AddExportOptions(const Adder& adder, CLI::App* command) {
  command
      ->add_option("--dtype", adder.flags.dtype,
                   "Of the weights, rounded to nearest")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->capture_default_str();
  adder.Routing(command);
}

void AddLogits(const Adder& adder) {
  Flags& flags = adder.flags;
  CLI::App* command = adder.Add(
      "logits", "What a model expects after a text, or after each token",
      RunLogits);
  adder.Checkpoint(command);
  CLI::Option_group* input = command->add_option_group("Input");
  input->add_option("--text", flags.text, "Needs --tokenizer");
  input->add_option("--tokens", flags.tokens, "Ids: 5,17,3");
  input->require_option(1);
  adder.Routing(command);
  command
      ->add_option(
          "--inference", flags.inference,
          "Of a Lory model that is not merged: segment (as trained) or "
          "prompt (the text is one segment)")
      ->check(CLI::IsMember({"segment", "prompt"}))
      ->capture_default_str();
  command->add_option("--top", flags.top, "Tokens to show")
      ->check(lory::flags::AboveZero())
      ->capture_default_str();
  command
      ->add_option("--to", flags.to,
                   "Write all logits to this safetensors file instead")
      ->check(lory::flags::NotEmpty());
  command->add_flag("--force", flags.force, "Replace the file");
}

void AddUpcycle(const Adder& adder) {
  Flags& flags = adder.flags;
  CLI::App* command = adder.Add(
      "upcycle", "A Lory model that begins as what a dense one is", RunUpcycle);
  adder.Checkpoint(command);
  command->add_option("--experts", flags.expert_count, "In each layer")
      ->required();
  command
      ->add_option("--segment-length", flags.segment_length,
                   "Tokens routed together; divides the context")
      ->required();
  command
      ->add_option("--first-segment", flags.first_segment,
                   "Routing of a sequence's first segment")
      ->check(CLI::IsMember({"self_stop_gradient", "uniform", "learned"}))
      ->capture_default_str();
  command
      ->add_option("--router-stddev", flags.router_stddev,
                   "Standard deviation of the new routers")
      ->capture_default_str();
  command->add_option("--seed", flags.seed, "Of the new routers")
      ->capture_default_str();
  adder.To(command, "Folder of the new checkpoint");
}

void AddEnsemble(const Adder& adder) {
  Flags& flags = adder.flags;
  CLI::App* command = adder.Add(
      "ensemble",
      "A weight_ensembling model (WEMoE): base + gated differences to it",
      RunEnsemble);
  command
      ->add_option("--base", flags.checkpoint, "What the others were made from")
      ->required();
  command->add_option("--add", flags.add, "Checkpoints tuned from it")
      ->required();
  command->add_option("--gate", flags.gate, "What the weights follow from")
      ->check(CLI::IsMember({"constant", "linear", "two_layers"}))
      ->capture_default_str();
  command
      ->add_option("--initial-weight", flags.initial_weight,
                   "Of every difference at first")
      ->check(lory::flags::AboveZero())
      ->capture_default_str();
  command->add_option("--pool-length", flags.pool_length,
                      "Tokens, from the first, that the gate looks at");
  command->add_flag("--allow-noncausal", flags.allow_noncausal,
                    "Let it look at the whole sequence");
  command->add_option("--seed", flags.seed, "Of the gates")
      ->capture_default_str();
  adder.To(command, "Folder of the new checkpoint");
}

}  // namespace

void AddCommands(CLI::App& app, Flags& flags, Command& chosen) {
  const Adder adder{app, flags, chosen};
  CLI::App* inspect = adder.Add(
      "inspect", "Shapes, norms, expert distances and routers", RunInspect);
  adder.Checkpoint(inspect);
  adder.Format(inspect);

  AddEvalOptions(*adder.Add("eval", "Perplexity, tasks and routing", Evaluate),
                 flags.eval);

  CLI::App* export_command = adder.Add(
      "export",
      "A Hugging Face folder of a LlamaForCausalLM or, of token choice, a "
      "MixtralForCausalLM",
      RunExport);
  adder.Checkpoint(export_command);
  adder.To(export_command, "Folder of the export");
  AddExportOptions(adder, export_command);

  CLI::App* import_command = adder.Add(
      "import",
      "A checkpoint from a Hugging Face LlamaForCausalLM or MixtralForCausalLM",
      RunImport);
  import_command
      ->add_option("FOLDER", flags.checkpoint,
                   "config.json and safetensors files")
      ->required();
  adder.To(import_command, "Folder of the new checkpoint");

  CLI::App* convert = adder.Add(
      "convert", "export of a checkpoint, import of a Hugging Face folder",
      RunConvert);
  convert->add_option("FOLDER", flags.checkpoint, "The one or the other")
      ->required();
  adder.To(convert, "Folder of the other");
  AddExportOptions(adder, convert);

  CLI::App* diff = adder.Add("diff", "Where two checkpoints differ", RunDiff,
                             /*compares=*/true);
  diff->add_option("A", flags.checkpoint, "Folder step-N.gen-G")->required();
  diff->add_option("B", flags.other, "Another")->required();
  adder.Format(diff);

  AddMergeOptions(
      *adder.Add("merge",
                 "Task arithmetic: base + scale * (sum of added - subtracted)",
                 Merge),
      flags.merge);
  AddEnsemble(adder);
  AddUpcycle(adder);
  AddLogits(adder);
}

}  // namespace lory::surgery
