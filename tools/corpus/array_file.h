#ifndef LORY_TOOLS_CORPUS_ARRAY_FILE_H_
#define LORY_TOOLS_CORPUS_ARRAY_FILE_H_

#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/mapped_file.h"
#include "common/io/storage.h"

// Arrays on disk as they lie in memory: what one stage leaves for the next on
// the same machine.
namespace lory::corpus {

// A mapped array of T. Immutable; thread-safe.
template <typename T>
class ArrayFile {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // DATA_LOSS: the size is no multiple of T's.
  static absl::StatusOr<ArrayFile> Open(const std::string& path) {
    LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> file,
                          io::MappedFile::Open(path));
    if (file->bytes().size() % sizeof(T) != 0) {
      return absl::DataLossError(absl::StrCat(path, " is truncated"));
    }
    return ArrayFile(std::move(file));
  }

  std::span<const T> values() const {
    return {reinterpret_cast<const T*>(file_->bytes().data()),
            file_->bytes().size() / sizeof(T)};
  }

 private:
  explicit ArrayFile(std::unique_ptr<io::MappedFile> file)
      : file_(std::move(file)) {}

  std::unique_ptr<io::MappedFile> file_;
};

// The bytes of `values`, for Append.
template <typename T>
absl::string_view BytesOf(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

template <typename T>
absl::Status WriteArray(const std::string& path, std::span<const T> values) {
  return io::LocalStorage().Write(path, BytesOf(values));
}

// Writes an array piece by piece; not there before Finish. Thread-compatible.
template <typename T>
class ArrayWriter {
 public:
  // Storage's errors, as all of it.
  static absl::StatusOr<ArrayWriter> Create(const std::string& path) {
    LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::FileWriter> file,
                          io::LocalStorage().Create(path));
    return ArrayWriter(std::move(file));
  }

  absl::Status Append(std::span<const T> values) {
    return file_->Append(BytesOf(values));
  }
  absl::Status Finish() { return file_->Commit(); }

 private:
  explicit ArrayWriter(std::unique_ptr<io::FileWriter> file)
      : file_(std::move(file)) {}

  std::unique_ptr<io::FileWriter> file_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ARRAY_FILE_H_
