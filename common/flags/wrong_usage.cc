#include "common/flags/wrong_usage.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/edit_distance.h"

namespace lory::flags {
namespace {

// Whether the next word is the value of the option `word`; of one that nobody
// knows, as most are.
bool TakesNext(const CLI::App& app, const std::string& word) {
  const bool has_its_own = absl::StartsWith(word, "--")
                               ? absl::StrContains(word, '=')
                               : word.size() > 2;  // -ojson
  if (has_its_own) return false;
  const CLI::Option* option = app.get_option_no_throw(word);
  return option == nullptr || option->get_items_expected_max() > 0;
}

}  // namespace

std::string WrongCommand(const CLI::App& app,
                         const std::vector<std::string>& arguments) {
  // Walks down as the parser did.
  const CLI::App* parent = &app;
  bool is_value = false;
  for (const std::string& argument : arguments) {
    if (std::exchange(is_value, false)) continue;
    const auto children = parent->get_subcommands(
        [](const CLI::App* child) { return !child->get_group().empty(); });
    if (children.empty() || argument.empty()) return "";
    const auto next = std::find_if(
        children.begin(), children.end(),
        [&](const CLI::App* child) { return child->check_name(argument); });
    if (next != children.end()) {
      parent = *next;
      continue;
    }
    if (argument.front() == '-') {
      is_value = TakesNext(app, argument);
      continue;
    }
    std::vector<std::string> names;
    for (const CLI::App* child : children) names.push_back(child->get_name());
    const std::string best = ClosestWord(argument, names);
    if (best.empty()) {
      return absl::StrCat("'", argument, "' is none of ",
                          absl::StrJoin(names, ", "));
    }
    return absl::StrCat("'", argument, "' is no command; did you mean ", best,
                        "?");
  }
  return "";
}

int ReportParseError(const CLI::App& app, const CLI::ParseError& error,
                     const std::vector<std::string>& arguments,
                     std::optional<int> usage_exit) {
  if (error.get_exit_code() == 0) {  // --help, --version
    app.exit(error);
    if (std::cout.flush()) return 0;
    std::fprintf(stderr, "error: %s\n", kNotWritten);
    return 1;
  }
  const int code = usage_exit.value_or(error.get_exit_code());
  const std::string wrong = WrongCommand(app, arguments);
  if (wrong.empty()) {
    app.exit(error);
    return code;
  }
  std::fprintf(stderr, "%s: %s\nRun with --help for more information.\n",
               error.what(), wrong.c_str());
  return code;
}

}  // namespace lory::flags
