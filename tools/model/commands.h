#ifndef LORY_TOOLS_MODEL_COMMANDS_H_
#define LORY_TOOLS_MODEL_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/model/eval_command.h"
#include "tools/model/merge_command.h"

// The commands of lory-model, without the process around them.
namespace lory::surgery {

// What the command line can say. One for all commands: they share most.
struct Flags {
  std::string checkpoint;  // or another model to read
  std::string other;       // diff: the second
  std::string format = "text";
  std::string to;
  bool force = false;

  std::string prompt;
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

  EvalFlags eval;
  MergeFlags merge;
};

struct Answer {
  std::string text;           // for standard output
  bool is_different = false;  // diff
};

struct Command {
  std::function<absl::StatusOr<Answer>()> run;
  bool compares = false;  // its exit codes are those of diff
};

// Adds every command to `app`. Parsing fills `flags` and sets `chosen`; all
// three must live until then, `flags` until `chosen` has run.
void AddCommands(CLI::App& app, Flags& flags, Command& chosen);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_COMMANDS_H_
