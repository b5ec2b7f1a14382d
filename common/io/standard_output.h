#ifndef LORY_COMMON_IO_STANDARD_OUTPUT_H_
#define LORY_COMMON_IO_STANDARD_OUTPUT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lory::io {

// Writes `text` to standard output and flushes it: a program that has ended
// well has told all. Errors: those of ErrnoStatus. Not for two threads at once.
absl::Status WriteStandardOutput(absl::string_view text);

}  // namespace lory::io

#endif  // LORY_COMMON_IO_STANDARD_OUTPUT_H_
