#ifndef LORY_COMMON_IO_MAPPED_FILE_H_
#define LORY_COMMON_IO_MAPPED_FILE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::io {

// A whole file mapped for reading. Immutable; thread-safe. The file must not
// shrink while it is mapped: ours are replaced by rename, never cut.
class MappedFile {
 public:
  // NOT_FOUND; PERMISSION_DENIED; INVALID_ARGUMENT: no regular file, such as a
  // pipe, which is not waited for; otherwise INTERNAL. Each names the path.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(
      const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  absl::string_view bytes() const { return {data_, size_}; }

 private:
  MappedFile(const char* data, size_t size) : data_(data), size_(size) {}

  const char* data_;  // nullptr for an empty file, which cannot be mapped
  size_t size_;
};

}  // namespace lory::io

#endif  // LORY_COMMON_IO_MAPPED_FILE_H_
