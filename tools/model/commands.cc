#include "tools/model/commands.h"

#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "common/flags/value_checks.h"

namespace lory::surgery {
namespace {

absl::StatusOr<Answer> Merge(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(std::string text, RunMerge(flags.merge));
  return Answer{std::move(text)};
}

absl::StatusOr<Answer> Evaluate(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(std::string text, RunEval(flags.eval));
  return Answer{std::move(text)};
}

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
    choice
        ->add_option("--prompt-file", flags.prompt_file,
                     "The same, with the text of a file")
        ->check(lory::flags::NotEmpty());
    choice->add_option("--routing", flags.routing, "uniform: all experts alike")
        ->check(CLI::IsMember({"uniform"}));
    choice
        ->add_option("--routing-text", flags.routing_text,
                     "The mean routing over the segments of a file's text")
        ->check(lory::flags::NotEmpty());
    choice->require_option(0, 1);
    command->add_option(
        "--tokenizer", flags.tokenizer,
        "tokenizer.json or tokenizer.model, or the dataset's folder");
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

void AddInspect(const Adder& adder) {
  Flags& flags = adder.flags;
  CLI::App* command = adder.Add(
      "inspect", "Shapes, norms, expert distances and routers", RunInspect);
  CLI::Option_group* model = command->add_option_group("Model");
  model->add_option("CHECKPOINT", flags.checkpoint, "Folder step-N.gen-G");
  CLI::Option* preset =
      model->add_option("--preset", flags.preset.name,
                        "Parameters of a job file's preset, without a "
                        "checkpoint: lory-0.3b, ...");
  model->require_option(1);
  command
      ->add_option("--experts", flags.preset.expert_count,
                   "In place of the preset's")
      ->check(CLI::Range(1, 256))
      ->needs(preset);
  command
      ->add_option("--vocabulary", flags.preset.vocabulary_size,
                   "Ids, which a job takes from its dataset")
      ->needs(preset)
      ->capture_default_str();
  adder.Format(command);
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
      ->check(lory::flags::PositiveFloat())
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
      ->check(lory::flags::PositiveFloat())
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
  AddInspect(adder);
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
