#ifndef LORY_TOOLS_CORPUS_LINE_READER_H_
#define LORY_TOOLS_CORPUS_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::corpus {

// Longer lines are an error: they are no documents but a broken file.
inline constexpr size_t kMaxLineBytes = 64 << 20;

// The lines of a file: plain, .gz or .zst by its name. Thread-compatible.
class LineReader {
 public:
  // NOT_FOUND, PERMISSION_DENIED, otherwise INTERNAL.
  static absl::StatusOr<std::unique_ptr<LineReader>> Open(
      const std::string& path);
  virtual ~LineReader() = default;

  // The next line without its end, valid until the next call; none at the
  // end. DATA_LOSS: the compressed data is damaged or cut off.
  // RESOURCE_EXHAUSTED: a line longer than kMaxLineBytes.
  absl::StatusOr<std::optional<absl::string_view>> Next();

 protected:
  explicit LineReader(std::string path) : path_(std::move(path)) {}

  // Appends some bytes to `out`; none: the end.
  virtual absl::Status ReadSome(std::string* out) = 0;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  std::string buffer_;
  size_t begin_ = 0;    // of what was not yet handed out
  size_t scanned_ = 0;  // no line end before
  bool at_end_ = false;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_LINE_READER_H_
