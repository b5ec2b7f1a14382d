// lory-model: looks at checkpoints and makes others of them.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "common/base/stop_signals.h"
#include "common/flags/wrong_usage.h"
#include "common/io/standard_output.h"
#include "tools/model/commands.h"

namespace lory::surgery {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

constexpr char kFooter[] = R"(
examples:
  lory-model inspect storage/jobs/tiny/checkpoints/step-100.gen-3
  lory-model eval step-100.gen-3 --data data/demo --tasks questions.jsonl
  lory-model export step-100.gen-3 --to exported --tokenizer data/demo \
      --prompt "def main():"
  lory-model import llama-160m --to imported
  lory-model upcycle imported --experts 8 --segment-length 64 --to start
  lory-model merge --base start --add python --subtract noise --to merged
  lory-model diff start merged

A CHECKPOINT is a folder step-N.gen-G; checkpoints made here are at step 0. An
output appears whole or not at all. Data goes to standard output, words to
standard error.

exit codes: 0 done; 1 failed; 2 wrong usage or an input that does not fit.
diff: 0 equal, 1 different, 2 anything else
)";

// Refusals that another command line mends.
bool IsMistake(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ||
         absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status);
}

int Run(const Command& command) {
  const absl::StatusOr<Answer> answer = command.run();
  const absl::Status status =
      answer.ok() ? io::WriteStandardOutput(answer->text) : answer.status();
  if (status.ok()) return answer->is_different ? 1 : 0;
  std::fprintf(stderr, "lory-model: %s\n",
               std::string(status.message()).c_str());
  if (command.compares || IsMistake(status)) return kWrongUsage;
  return kFailed;
}

int Main(int argc, char** argv) {
  CLI::App app("Checkpoint tools: looks at models and makes others of them.",
               "lory-model");
  app.footer(kFooter);
  app.set_version_flag("--version", "lory-model " LORY_VERSION);
  app.require_subcommand(1);
  Flags flags;
  Command chosen;
  AddCommands(app, flags, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return flags::ReportParseError(app, error, {argv + 1, argv + argc},
                                   kWrongUsage);
  }
  return Run(chosen);
}

}  // namespace
}  // namespace lory::surgery

int main(int argc, char** argv) {
  lory::IgnoreFileSizeSignal();
  return lory::surgery::Main(argc, argv);
}
