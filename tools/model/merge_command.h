#ifndef LORY_TOOLS_MODEL_MERGE_COMMAND_H_
#define LORY_TOOLS_MODEL_MERGE_COMMAND_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// The command `lory-model merge`: task arithmetic. docs/lory-model.md.
namespace lory::surgery {

struct MergeFlags {
  std::string base;
  std::vector<std::string> add;
  std::vector<std::string> subtract;
  bool average = false;
  std::optional<double> scale;
  std::string search;  // LOW:HIGH:STEP
  std::string data;
  std::vector<std::string> domains;
  int64_t sequences = 0;
  std::optional<double> tolerance;
  std::string to;
  bool force = false;
};

// Adds the options to `command`.
void AddMergeOptions(CLI::App& command, MergeFlags& flags);

// Merges, writes the checkpoint and returns what goes to standard output.
// INVALID_ARGUMENT, FAILED_PRECONDITION, ALREADY_EXISTS: another command line
// mends it. Others: as LoadCheckpoint, SearchScale and SaveModel.
absl::StatusOr<std::string> RunMerge(const MergeFlags& flags);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_MERGE_COMMAND_H_
