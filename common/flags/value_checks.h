#ifndef LORY_COMMON_FLAGS_VALUE_CHECKS_H_
#define LORY_COMMON_FLAGS_VALUE_CHECKS_H_

#include <CLI/CLI.hpp>
#include <cmath>
#include <string>

#include "absl/strings/numbers.h"
#include "common/base/float_range.h"

// Checks of what a flag is given, for CLI11. Its own of numbers name the
// largest there is with all of its 309 digits.
namespace lory::flags {

// "-1 is not a number from 0 on".
inline CLI::Validator FromZero() {
  return {[](const std::string& text) {
            double value = 0;
            const bool fits = absl::SimpleAtod(text, &value) &&
                              std::isfinite(value) && value >= 0;
            return fits ? std::string() : text + " is not a number from 0 on";
          },
          "NONNEGATIVE", ""};
}

// "0 is not a number above 0".
inline CLI::Validator AboveZero() {
  return {[](const std::string& text) {
            double value = 0;
            const bool fits = absl::SimpleAtod(text, &value) &&
                              std::isfinite(value) && value > 0;
            return fits ? std::string() : text + " is not a number above 0";
          },
          "POSITIVE", ""};
}

// "1e308 is not a number above 0 that a 32-bit float holds".
inline CLI::Validator PositiveFloat() {
  return {[](const std::string& text) {
            double value = 0;
            const bool fits =
                absl::SimpleAtod(text, &value) && IsPositiveFloat(value);
            return fits ? std::string() : text + " is not " + kPositiveFloat;
          },
          "POSITIVE", ""};
}

// Of a path, for which '' is what a variable gives that is not set.
inline CLI::Validator NotEmpty() {
  return {[](const std::string& text) {
            return std::string(text.empty() ? "the path is empty" : "");
          },
          "", ""};
}

}  // namespace lory::flags

#endif  // LORY_COMMON_FLAGS_VALUE_CHECKS_H_
