#ifndef LORY_TESTS_FUZZ_FUZZ_H_
#define LORY_TESTS_FUZZ_FUZZ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "tests/support/temporary_folder.h"

// What the programs under tests/fuzz share. An input that breaks a promise ends
// the process by LORY_CHECK, as a sanitizer would.

// LORY_FUZZ(input) { ... }: what libFuzzer runs on one input after the other;
// `input` is an absl::string_view.
#define LORY_FUZZ(input)                                                    \
  static void FuzzOne(absl::string_view input);                             \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);  \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    FuzzOne({reinterpret_cast<const char*>(data), size});                   \
    return 0;                                                               \
  }                                                                         \
  static void FuzzOne(absl::string_view input)

namespace lory::fuzz {

// Between the parts of an input that has several. Text, so that people can
// write seeds.
inline constexpr absl::string_view kCut = "\n--8<--\n";

// What is before the first cut, and what behind it: nothing if there is none.
inline std::pair<absl::string_view, absl::string_view> CutInTwo(
    absl::string_view input) {
  const size_t at = input.find(kCut);
  if (at == absl::string_view::npos) return {input, {}};
  return {input.substr(0, at), input.substr(at + kCut.size())};
}

// The folder of this process, for what is read by its path.
inline const testing::TemporaryFolder& Folder() {
  static const testing::TemporaryFolder folder;
  return folder;
}

// Of an error: its code is one that the header promises, and it says something.
inline void CheckError(const absl::Status& status,
                       std::initializer_list<absl::StatusCode> promised) {
  if (status.ok()) return;
  if (std::find(promised.begin(), promised.end(), status.code()) ==
      promised.end()) {
    std::fprintf(stderr, "not promised: %s\n", status.ToString().c_str());
    std::abort();
  }
  LORY_CHECK(!status.message().empty());
}

}  // namespace lory::fuzz

#endif  // LORY_TESTS_FUZZ_FUZZ_H_
