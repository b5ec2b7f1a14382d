#ifndef LORY_TESTS_UNIT_TOOLS_MODEL_SAY_H_
#define LORY_TESTS_UNIT_TOOLS_MODEL_SAY_H_

#include <algorithm>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/model/commands.h"

namespace lory::surgery {

// What a command line answers; CLI11's error is an INVALID_ARGUMENT here.
inline absl::StatusOr<Answer> Say(std::vector<std::string> arguments) {
  CLI::App app;
  app.require_subcommand(1);
  Flags flags;
  Command chosen;
  AddCommands(app, flags, chosen);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return chosen.run();
}

}  // namespace lory::surgery

#endif  // LORY_TESTS_UNIT_TOOLS_MODEL_SAY_H_
