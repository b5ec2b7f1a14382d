#include "common/flags/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/address.h"
#include "common/flags/value_checks.h"
#include "common/flags/wrong_usage.h"

namespace lory::flags {

Flag& Flag::Required() {
  option_->required();
  return *this;
}

Flag& Flag::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Flag& Flag::TypeName(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Flag& Flag::Range(int low, int high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Flag& Flag::NotNegative() {
  option_->check(FromZero());
  return *this;
}

Flag& Flag::OneOf(const std::vector<std::string>& values) {
  option_->check(CLI::IsMember(values));
  return *this;
}

Flag& Flag::Size() {
  // CLI11 takes numbers modulo 2^64.
  option_->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
  option_->transform(CLI::Validator(
      [](const std::string& text) {
        return text.find('-') == std::string::npos
                   ? std::string()
                   : text + " is not 0 bytes or more";
      },
      "", ""));
  return Check([](const std::string& bytes) {
    int64_t count = 0;
    return absl::SimpleAtoi(bytes, &count) ? std::string()
                                           : bytes + " bytes are too many";
  });
}

Flag& Flag::Address() {
  TypeName("HOST:PORT");
  return Check([](const std::string& text) {
    return IsAddress(text)
               ? std::string()
               : absl::StrCat("'", text,
                              "' is not HOST:PORT, such as 127.0.0.1:7440");
  });
}

Flag& Flag::Excludes(const Flag& other) {
  option_->excludes(other.option_);
  return *this;
}

Flag& Flag::Check(std::function<std::string(const std::string&)> wrong) {
  option_->check(std::move(wrong));
  return *this;
}

Flag Command::Named(const std::string& name, CLI::Option* option) const {
  // "-o,--output" has its variable by the long name, an argument has none.
  const size_t dashes = name.find("--");
  if (!environment_.empty() && dashes != std::string::npos) {
    option->envname(absl::StrCat(environment_,
                                 absl::AsciiStrToUpper(absl::StrReplaceAll(
                                     name.substr(dashes + 2), {{"-", "_"}}))));
  }
  return Flag(option);
}

template <typename T>
Flag Command::Add(const std::string& name, T& value, const std::string& help) {
  Flag flag = Named(name, app_->add_option(name, value, help));
  if (show_defaults_) flag.ShowDefault();
  return flag;
}
template Flag Command::Add(const std::string&, std::string&,
                           const std::string&);
template Flag Command::Add(const std::string&, int32_t&, const std::string&);
template Flag Command::Add(const std::string&, int64_t&, const std::string&);
template Flag Command::Add(const std::string&, std::vector<std::string>&,
                           const std::string&);
template Flag Command::Add(const std::string&, std::optional<std::string>&,
                           const std::string&);
template Flag Command::Add(const std::string&, std::optional<int64_t>&,
                           const std::string&);

Flag Command::AddSwitch(const std::string& name, bool& value,
                        const std::string& help) {
  return Named(name, app_->add_flag(name, value, help));
}

Flag Command::AddDuration(const std::string& name, absl::Duration& value,
                          const std::string& help, absl::Duration above) {
  CLI::Option* option = app_->add_option_function<std::string>(
      name,
      [&value](const std::string& text) {
        absl::ParseDuration(text, &value);  // checked below
      },
      help);
  option->check([above](const std::string& text) {
    absl::Duration parsed;
    if (!absl::ParseDuration(text, &parsed)) {
      return absl::StrCat("'", text, "' is no duration, such as 5s");
    }
    return parsed > above ? std::string()
                          : absl::StrCat("'", text, "' is not above ",
                                         absl::FormatDuration(above));
  });
  option->default_str(absl::FormatDuration(value))->type_name("DURATION");
  return Named(name, option);
}

Flag Command::AddLogFormat(LogFormat& value, const std::string& help) {
  CLI::Option* option = app_->add_option_function<std::string>(
      "--log-format",
      [&value](const std::string& text) {
        value = text == "json" ? LogFormat::kJson : LogFormat::kText;
      },
      help);
  option->default_str(value == LogFormat::kJson ? "json" : "text");
  return Named("--log-format", option).OneOf({"text", "json"});
}

bool Command::given() const { return app_->parsed(); }

CommandLine::CommandLine(const CommandLineOptions& options)
    : Command(new CLI::App(options.about, options.name), options.environment,
              options.show_defaults),
      owned_(&app()),
      usage_exit_(options.usage_exit) {
  app().footer(options.footer);
  if (!options.version.empty()) {
    app().set_version_flag("--version", options.version);
  }
  app().fallthrough(options.flags_after_command);
}

CommandLine::~CommandLine() = default;

Command CommandLine::AddCommand(const std::string& name,
                                const std::string& help) {
  app().require_subcommand(1);
  return Command(app().add_subcommand(name, help), "", false);
}

std::optional<int> CommandLine::Parse(int argc, const char* const* argv) {
  try {
    app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError(
        app(), error, {argv + std::min(1, argc), argv + argc}, usage_exit_);
  }
  return std::nullopt;
}

}  // namespace lory::flags
