// lory-model: looks at checkpoints and makes others of them.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/status_macros.h"
#include "tools/model/checkpoint_folder.h"
#include "tools/model/inspect.h"

namespace lory::surgery {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

constexpr char kFooter[] = R"(
examples:
  lory-model inspect storage/jobs/tiny/checkpoints/step-100.gen-3
  lory-model inspect step-100.gen-3 -o json

Data goes to standard output, words to standard error.

exit codes: 0 done, 1 failed, 2 wrong usage or an input that does not fit
)";

// A command answers what goes to standard output.
using Command = std::function<absl::StatusOr<std::string>()>;

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "lory-model: %s\n",
               std::string(status.message()).c_str());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      return kWrongUsage;
    default:
      return kFailed;
  }
}

// Options that commands share.
struct Flags {
  std::string checkpoint;
  std::string format = "text";
};

void AddFormat(CLI::App* command, Flags& flags) {
  command->add_option("-o,--output", flags.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

void AddCheckpoint(CLI::App* command, std::string& checkpoint) {
  command->add_option("CHECKPOINT", checkpoint, "Folder step-N.gen-G")
      ->required();
}

absl::StatusOr<std::string> RunInspect(const Flags& flags) {
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint checkpoint,
                        LoadCheckpoint(flags.checkpoint));
  LORY_ASSIGN_OR_RETURN(const Inspection inspection, Inspect(checkpoint));
  return flags.format == "json" ? ToJson(inspection) : ToText(inspection);
}

int Main(int argc, char** argv) {
  CLI::App app("Checkpoint tools: looks at models and makes others of them.",
               "lory-model");
  app.footer(kFooter);
  app.set_version_flag("--version", "lory-model " LORY_VERSION);
  app.require_subcommand(1);
  Flags flags;
  Command chosen;

  CLI::App* inspect = app.add_subcommand(
      "inspect", "Shapes, norms, expert distances and routers");
  AddCheckpoint(inspect, flags.checkpoint);
  AddFormat(inspect, flags);
  inspect->callback([&] { chosen = [&] { return RunInspect(flags); }; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  const absl::StatusOr<std::string> text = chosen();
  if (text.ok()) std::fwrite(text->data(), 1, text->size(), stdout);
  return ExitCodeOf(text.status());
}

}  // namespace
}  // namespace lory::surgery

int main(int argc, char** argv) { return lory::surgery::Main(argc, argv); }
