#ifndef LORY_TOOLS_MODEL_COMMANDS_H_
#define LORY_TOOLS_MODEL_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/statusor.h"
#include "tools/model/command_runs.h"

// The commands of lory-model, without the process around them.
namespace lory::surgery {

struct Command {
  std::function<absl::StatusOr<Answer>()> run;
  bool compares = false;  // its exit codes are those of diff
};

// Adds every command to `app`. Parsing fills `flags` and sets `chosen`; all
// three must live until then, `flags` until `chosen` has run.
void AddCommands(CLI::App& app, Flags& flags, Command& chosen);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_COMMANDS_H_
