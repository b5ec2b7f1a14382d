#ifndef LORY_TOOLS_MODEL_EVAL_COMMAND_H_
#define LORY_TOOLS_MODEL_EVAL_COMMAND_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// The command `lory-model eval`: what a checkpoint makes of held-out text, of
// files and of tasks. docs/lory-model.md.
namespace lory::surgery {

struct EvalFlags {
  std::string checkpoint;
  std::string format = "text";
  std::string to;
  bool force = false;

  std::string data;
  std::vector<std::string> kept_out;
  int64_t sequences = 0;
  std::vector<std::string> text;
  std::string tokenizer;
  std::optional<int64_t> window;
  std::optional<int64_t> stride;
  std::optional<int64_t> first_segment;
  int64_t utilisation_window = 0;
  int64_t marked_tokens = 10;
  std::vector<std::string> tasks;
  std::optional<std::string> inference;  // both, unless said
};

// Adds the options to `command`.
void AddEvalOptions(CLI::App& command, EvalFlags& flags);

// Evaluates and returns what goes to standard output. INVALID_ARGUMENT,
// FAILED_PRECONDITION, ALREADY_EXISTS: another command line mends it. Others:
// as LoadCheckpoint, Dataset and io::Storage.
absl::StatusOr<std::string> RunEval(const EvalFlags& flags);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_EVAL_COMMAND_H_
