#include "common/io/standard_output.h"

#include <cerrno>
#include <cstdio>

#include "common/io/errno_status.h"

namespace lory::io {

absl::Status WriteStandardOutput(absl::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      std::fflush(stdout) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, "writing standard output");
}

}  // namespace lory::io
