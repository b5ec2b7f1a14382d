#ifndef LORY_COMMON_FLAGS_WRONG_USAGE_H_
#define LORY_COMMON_FLAGS_WRONG_USAGE_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

// What CLI11 leaves out where it refuses a command line.
namespace lory::flags {

// "'buidl' is no command; did you mean build?", of the first of `arguments`
// that stands where a command of `app` belongs and is none. Empty: there is no
// such word.
std::string WrongCommand(const CLI::App& app,
                         const std::vector<std::string>& arguments);

// What a program says, with exit code 1, whose standard output did not take
// all.
inline constexpr char kNotWritten[] =
    "not all could be written to standard output: is the disk full, or a limit "
    "reached?";

// Prints the words of --help and --version to stdout, a mistake to stderr,
// with what WrongCommand says of it. The exit code: 0; 1 where stdout did not
// take all; of a mistake `usage_exit`, or else CLI11's number.
int ReportParseError(const CLI::App& app, const CLI::ParseError& error,
                     const std::vector<std::string>& arguments,
                     std::optional<int> usage_exit);

}  // namespace lory::flags

#endif  // LORY_COMMON_FLAGS_WRONG_USAGE_H_
