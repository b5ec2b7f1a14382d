#ifndef LORY_TOOLS_MODEL_COMMAND_RUNS_H_
#define LORY_TOOLS_MODEL_COMMAND_RUNS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/model/eval_command.h"
#include "tools/model/merge_command.h"
#include "tools/model/preset_figures.h"

// What the commands of lory-model do once the command line is read. Those with
// many options of their own, eval and merge, have files of their own.
namespace lory::surgery {

// What the command line can say. One for all commands: they share most.
struct Flags {
  std::string checkpoint;  // or another model to read
  std::string other;       // diff: the second
  std::string format = "text";
  std::string to;
  bool force = false;

  std::optional<std::string> prompt;
  std::string prompt_file;
  std::string routing;
  std::string routing_text;
  std::string tokenizer;
  std::string dtype = "fp32";  // export

  std::string text;                   // logits
  std::optional<std::string> tokens;  // instead of a text
  std::string inference = "segment";
  int64_t top = 10;

  std::vector<std::string> add;  // ensemble

  std::string gate = "two_layers";  // ensemble
  int pool_length = 0;
  bool allow_noncausal = false;
  double initial_weight = 0.3;

  int expert_count = 0;  // upcycle
  int segment_length = 0;
  std::string first_segment = "self_stop_gradient";
  double router_stddev = 0.02;
  int64_t seed = 1;

  PresetChoice preset;  // inspect

  EvalFlags eval;
  MergeFlags merge;
};

struct Answer {
  std::string text;           // for standard output
  bool is_different = false;  // diff
};

// Each does its command and says what came of it. Errors name what to change:
// INVALID_ARGUMENT, FAILED_PRECONDITION, ALREADY_EXISTS a mistake of the
// command line or an input that does not fit; others as the disk and the memory
// have it.
absl::StatusOr<Answer> RunInspect(const Flags& flags);
absl::StatusOr<Answer> RunExport(const Flags& flags);
absl::StatusOr<Answer> RunImport(const Flags& flags);
// Ours to Hugging Face's or theirs to ours: the folder says which it is.
absl::StatusOr<Answer> RunConvert(const Flags& flags);
absl::StatusOr<Answer> RunLogits(const Flags& flags);
absl::StatusOr<Answer> RunDiff(const Flags& flags);
absl::StatusOr<Answer> RunUpcycle(const Flags& flags);
absl::StatusOr<Answer> RunEnsemble(const Flags& flags);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_COMMAND_RUNS_H_
