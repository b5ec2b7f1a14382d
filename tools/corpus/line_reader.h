#ifndef LORY_TOOLS_CORPUS_LINE_READER_H_
#define LORY_TOOLS_CORPUS_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/corpus/byte_reader.h"

namespace lory::corpus {

// Longer lines are no documents but a broken file, or one without line ends.
inline constexpr size_t kMaxLineBytes = 64 << 20;

// UTF-8 of U+FEFF, with which some editors begin a text.
inline constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The lines of a file, whatever ByteReader makes of it. Thread-compatible.
class LineReader {
 public:
  static absl::StatusOr<std::unique_ptr<LineReader>> Open(
      const std::string& path);

  // The next line without its end, valid until the next call; none at the
  // end. A byte-order mark before the first is not part of it.
  //
  // DATA_LOSS: the compressed data is damaged; names the file and the last
  // line that was whole. OUT_OF_RANGE: this line is longer than
  // kMaxLineBytes; the call after goes on behind it.
  absl::StatusOr<std::optional<absl::string_view>> Next();

  // Number of the line that Next returned last, or failed at, from 1 on.
  int64_t line_number() const { return line_number_; }

 private:
  explicit LineReader(std::unique_ptr<ByteReader> bytes)
      : bytes_(std::move(bytes)) {}

  absl::Status Fill();
  absl::Status SkipLine();

  const std::unique_ptr<ByteReader> bytes_;
  std::string buffer_;
  size_t begin_ = 0;    // of what was not yet handed out
  size_t scanned_ = 0;  // no line end before
  int64_t line_number_ = 0;
  bool at_end_ = false;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_LINE_READER_H_
