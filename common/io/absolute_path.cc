#include "common/io/absolute_path.h"

#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/io/errno_status.h"

namespace lory::io {

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("the path is empty");
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("finding ", path));
  return whole.lexically_normal().string();
}

}  // namespace lory::io
