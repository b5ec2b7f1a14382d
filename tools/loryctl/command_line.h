#ifndef LORY_TOOLS_LORYCTL_COMMAND_LINE_H_
#define LORY_TOOLS_LORYCTL_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tools/loryctl/session.h"

namespace lory::ctl {

// The tree of nouns and verbs. Verbs are added once; parsing chooses one and
// Run does it.
class CommandLine {
 public:
  using Action = std::function<absl::Status(Session&)>;

  CommandLine();

  // A noun, such as job; `alias` is its plural.
  CLI::App& AddNoun(const std::string& name, const std::string& alias,
                    const std::string& description);

  // A verb beneath `parent`, which may be the root. `examples` are lines that
  // --help shows.
  CLI::App& AddVerb(CLI::App& parent, const std::string& name,
                    const std::string& description,
                    const std::vector<std::string>& examples, Action action);

  CLI::App& root() { return *root_; }

  // Parses and does what was asked for; the exit code of the program.
  int Run(std::vector<std::string> arguments, Environment& environment);

 private:
  void AddGlobalOptions();
  int ReportParseError(const CLI::ParseError& error,
                       const std::vector<std::string>& arguments,
                       Environment& environment);

  std::unique_ptr<CLI::App> root_;
  Settings settings_;
  Action action_;
};

// One function a noun; each is in the file of that name.
void AddJobCommands(CommandLine& line);
void AddSubmitCommand(CommandLine& line, CLI::App& job);
void AddWatchCommand(CommandLine& line, CLI::App& job);
void AddTimelineCommand(CommandLine& line, CLI::App& job);
void AddPlotCommand(CommandLine& line, CLI::App& job);
void AddLogsCommand(CommandLine& line, CLI::App& job);
void AddStudyCommands(CommandLine& line);
void AddWorkerCommands(CommandLine& line);
void AddCheckpointCommands(CommandLine& line);
void AddDatasetCommands(CommandLine& line);
void AddCertificateCommands(CommandLine& line);
void AddCompletionCommands(CommandLine& line);
void AddDoctorCommand(CommandLine& line);
void AddHelpCommands(CommandLine& line);

// What could stand at the last of `words`, one a line: the shells ask it by
// `loryctl __complete WORDS...`.
int Complete(const CLI::App& root, const std::vector<std::string>& words,
             Environment& environment);

// Everything above: `loryctl arguments...`.
int RunLoryctl(const std::vector<std::string>& arguments,
               Environment& environment);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_COMMAND_LINE_H_
