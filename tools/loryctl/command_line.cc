#include "tools/loryctl/command_line.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/flags/value_checks.h"
#include "common/flags/wrong_usage.h"
#include "tools/loryctl/exit_code.h"

namespace lory::ctl {
namespace {

constexpr char kDescription[] =
    "Everything a person does with a Lory training service.";

constexpr char kFooter[] =
    R"(Where the coordinator is: --server, else LORY_SERVER, else `server:` in
~/.config/lory/config.yaml, else 127.0.0.1:7440. The --tls-* flags likewise
(LORY_TLS_CA, LORY_TLS_CERT, LORY_TLS_KEY; tls_ca, tls_cert, tls_key).

Data goes to stdout, words for people to stderr.

examples:
  loryctl dataset register demo /data/demo/manifest.json
  loryctl job submit -f job.yaml --watch
  loryctl job list
  loryctl doctor
  loryctl help exit-codes)";

// The command that was on its way when parsing failed: "job submit".
std::string CommandPath(const CLI::App& root) {
  std::vector<std::string> words = {"loryctl"};
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    words.push_back(app->get_name());
  }
  return absl::StrJoin(words, " ");
}

// Whether standard output took all that it was given.
absl::Status Written(Environment& environment) {
  environment.out.flush();
  if (environment.out) return absl::OkStatus();
  return absl::InternalError(flags::kNotWritten);
}

}  // namespace

CommandLine::CommandLine()
    : root_(std::make_unique<CLI::App>(kDescription, "loryctl")) {
  root_->fallthrough();
  root_->require_subcommand(1);
  root_->footer(kFooter);
  root_->set_help_flag("-h,--help", "Print this help and exit");
  AddGlobalOptions();
}

void CommandLine::AddGlobalOptions() {
  const char* group = "Options of every command";
  root_
      ->add_option("-s,--server", settings_.server,
                   "host:port of the coordinator")
      ->type_name("ADDRESS")
      ->group(group);
  root_
      ->add_option("--tls-ca", settings_.tls_ca,
                   "PEM file of the CA that both sides trust")
      ->type_name("FILE")
      ->group(group);
  root_
      ->add_option("--tls-cert", settings_.tls_cert,
                   "PEM file of your certificate")
      ->type_name("FILE")
      ->group(group);
  root_
      ->add_option("--tls-key", settings_.tls_key,
                   "PEM file of your private key")
      ->type_name("FILE")
      ->group(group);
  root_
      ->add_option("-o,--output", settings_.output,
                   "table, json, yaml or name (default: table)")
      ->type_name("FORMAT")
      ->group(group);
  root_
      ->add_option("--timeout", settings_.timeout_seconds,
                   "seconds to wait for an answer (default: 10)")
      ->type_name("SECONDS")
      ->check(flags::AboveZero())
      ->group(group);
}

CLI::App& CommandLine::AddNoun(const std::string& name,
                               const std::string& alias,
                               const std::string& description) {
  CLI::App* noun = root_->add_subcommand(name, description);
  noun->alias(alias);
  noun->require_subcommand(1);
  return *noun;
}

CLI::App& CommandLine::AddVerb(CLI::App& parent, const std::string& name,
                               const std::string& description,
                               const std::vector<std::string>& examples,
                               Action action) {
  CLI::App* verb = parent.add_subcommand(name, description);
  if (!examples.empty()) {
    verb->footer(absl::StrCat("examples:\n  ", absl::StrJoin(examples, "\n  "),
                              "\n\nOptions of every command: loryctl --help"));
  }
  // The callback only chooses: actions run after parsing, outside CLI11's
  // exceptions.
  verb->callback([this, action = std::move(action)] { action_ = action; });
  return *verb;
}

int CommandLine::Run(std::vector<std::string> arguments,
                     Environment& environment) {
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    root_->parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return ReportParseError(error, arguments, environment);
  }
  Session session(environment);
  session.settings() = settings_;
  absl::Status status = CompleteSettings(environment, session.settings());
  if (status.ok()) {
    const auto format = ParseOutputFormat(session.settings().output);
    status = format.status();
    if (format.ok()) session.set_format(*format);
  }
  if (status.ok()) status = action_(session);
  const absl::Status written = Written(environment);
  if (status.ok()) status = written;
  if (!status.ok()) environment.err << ErrorText(status);
  return static_cast<int>(ExitCodeOf(status));
}

int CommandLine::ReportParseError(const CLI::ParseError& error,
                                  const std::vector<std::string>& arguments,
                                  Environment& environment) {
  if (error.get_exit_code() == 0) {  // --help
    root_->exit(error, environment.out, environment.err);
    const absl::Status status = Written(environment);
    if (!status.ok()) environment.err << ErrorText(status);
    return static_cast<int>(ExitCodeOf(status));
  }
  const std::string wrong = flags::WrongCommand(*root_, arguments);
  environment.err << "error: " << error.what() << (wrong.empty() ? "" : ": ")
                  << wrong << "\ntry: " << CommandPath(*root_) << " --help\n";
  return static_cast<int>(ExitCode::kUsage);
}

int RunLoryctl(const std::vector<std::string>& arguments,
               Environment& environment) {
  CommandLine line;
  AddJobCommands(line);
  AddStudyCommands(line);
  AddWorkerCommands(line);
  AddCheckpointCommands(line);
  AddDatasetCommands(line);
  AddCertificateCommands(line);
  AddCompletionCommands(line);
  AddDoctorCommand(line);
  AddHelpCommands(line);
  if (!arguments.empty() && arguments.front() == "__complete") {
    return Complete(line.root(), {arguments.begin() + 1, arguments.end()},
                    environment);
  }
  return line.Run(arguments, environment);
}

}  // namespace lory::ctl
