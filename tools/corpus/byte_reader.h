#ifndef LORY_TOOLS_CORPUS_BYTE_READER_H_
#define LORY_TOOLS_CORPUS_BYTE_READER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::corpus {

// The bytes of a file from begin to end: plain, .gz (any number of members) or
// .zst or .zstd (any number of frames) by its name. Thread-compatible.
class ByteReader {
 public:
  // NOT_FOUND, PERMISSION_DENIED, otherwise INTERNAL.
  static absl::StatusOr<std::unique_ptr<ByteReader>> Open(
      const std::string& path);
  virtual ~ByteReader() = default;

  // Appends some bytes to `out`; none: the end. DATA_LOSS: the compressed data
  // is damaged, cut off or followed by something else. Messages begin with the
  // path.
  virtual absl::Status ReadSome(std::string* out) = 0;

 protected:
  explicit ByteReader(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// Whether Open would decompress a file of this name.
bool IsCompressedName(absl::string_view path);

// A whole file; also OUT_OF_RANGE: it has more than `max_bytes`.
absl::StatusOr<std::string> ReadWhole(const std::string& path,
                                      size_t max_bytes);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_BYTE_READER_H_
