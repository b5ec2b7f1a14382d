#ifndef LORY_COMMON_FLAGS_COMMAND_LINE_H_
#define LORY_COMMON_FLAGS_COMMAND_LINE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/log.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

// The flags of our programs, alike in all of them. Wraps CLI11, whose header
// takes seconds to compile. Not thread-safe; for the beginning of main.
namespace lory::flags {

// A flag or argument that was just added. Each call says more about it; values
// that a check refuses are wrong usage. Belongs to its command line.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  Flag& Required();
  Flag& ShowDefault();  // --help says what the value is now
  Flag& TypeName(const std::string& name);
  Flag& Range(int low, int high);
  Flag& NotNegative();
  Flag& OneOf(const std::vector<std::string>& values);
  Flag& Size();                       // also 512MB, 2GB
  Flag& Address();                    // HOST:PORT, or unix:PATH
  Flag& Excludes(const Flag& other);  // not both
  // `wrong` says what is wrong with a text, or nothing.
  Flag& Check(std::function<std::string(const std::string&)> wrong);

 private:
  CLI::Option* option_;
};

// A command and what it takes. Values outlive the parsing that fills them;
// those that nobody gives stay as they are.
class Command {
 public:
  // `name` is a flag, such as "--work" or "-o,--output", or an argument, such
  // as "FOLDER". T: std::string, int32_t, int64_t, std::vector<std::string>
  // (repeatable), std::optional<std::string>, std::optional<int64_t>.
  template <typename T>
  Flag Add(const std::string& name, T& value, const std::string& help = "");
  // True when given.
  Flag AddSwitch(const std::string& name, bool& value, const std::string& help);
  // Such as 5s; more than `above`. Shows its default.
  Flag AddDuration(const std::string& name, absl::Duration& value,
                   const std::string& help,
                   absl::Duration above = -absl::InfiniteDuration());
  // --log-format text or json. Shows its default.
  Flag AddLogFormat(LogFormat& value, const std::string& help);

  // Whether the command line had this command.
  bool given() const;

 protected:
  Command(CLI::App* app, std::string environment, bool show_defaults)
      : app_(app),
        environment_(std::move(environment)),
        show_defaults_(show_defaults) {}
  CLI::App& app() { return *app_; }

 private:
  friend class CommandLine;

  Flag Named(const std::string& name, CLI::Option* option) const;

  CLI::App* app_;
  std::string environment_;
  bool show_defaults_;
};

struct CommandLineOptions {
  std::string name;  // of the program; empty: as it was called
  std::string about;
  std::string footer;   // beneath the flags of --help
  std::string version;  // what --version prints; empty: no such flag
  // Every flag can be set by a variable, too: --max-active by this and
  // MAX_ACTIVE. Empty: none can.
  std::string environment;
  bool show_defaults = false;        // of every flag that Add makes
  bool flags_after_command = false;  // those of the program, too
  // What wrong usage ends with; nothing: a number of CLI11's for each mistake.
  std::optional<int> usage_exit = 2;
};

// The whole command line of a program.
class CommandLine : public Command {
 public:
  explicit CommandLine(const CommandLineOptions& options);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // With commands, exactly one must be given.
  Command AddCommand(const std::string& name, const std::string& help);

  // Fills in the values. A number: the process should exit with it at once
  // (--help, --version, wrong usage; the words are printed).
  std::optional<int> Parse(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> owned_;
  std::optional<int> usage_exit_;
};

}  // namespace lory::flags

#endif  // LORY_COMMON_FLAGS_COMMAND_LINE_H_
