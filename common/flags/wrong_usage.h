#ifndef LORY_COMMON_FLAGS_WRONG_USAGE_H_
#define LORY_COMMON_FLAGS_WRONG_USAGE_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

// What CLI11 leaves out where it refuses a command line.
namespace lory::flags {

// "'buidl' is no command; did you mean build?", of the first of `arguments`
// that stands where a command of `app` belongs and is none. Empty: there is no
// such word.
std::string WrongCommand(const CLI::App& app,
                         const std::vector<std::string>& arguments);

// Prints the words of --help and --version to stdout, a mistake to stderr,
// with what WrongCommand says of it. 0, or CLI11's number of the mistake.
int ReportParseError(const CLI::App& app, const CLI::ParseError& error,
                     const std::vector<std::string>& arguments);

}  // namespace lory::flags

#endif  // LORY_COMMON_FLAGS_WRONG_USAGE_H_
