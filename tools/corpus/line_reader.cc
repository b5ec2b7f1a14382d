#include "tools/corpus/line_reader.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::corpus {

absl::StatusOr<std::unique_ptr<LineReader>> LineReader::Open(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<ByteReader> bytes,
                        ByteReader::Open(path));
  return std::unique_ptr<LineReader>(new LineReader(std::move(bytes)));
}

// Drops what was handed out and appends more.
absl::Status LineReader::Fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  scanned_ = buffer_.size();
  const size_t before = buffer_.size();
  const absl::Status status = bytes_->ReadSome(&buffer_);
  if (!status.ok()) {
    return absl::Status(
        status.code(),
        absl::StrCat(status.message(), " (after line ", line_number_, ")"));
  }
  at_end_ = buffer_.size() == before;
  return absl::OkStatus();
}

absl::Status LineReader::SkipLine() {
  while (true) {
    const size_t end = buffer_.find('\n', begin_);
    begin_ = scanned_ = end == std::string::npos ? buffer_.size() : end + 1;
    if (end != std::string::npos || at_end_) return absl::OkStatus();
    LORY_RETURN_IF_ERROR(Fill());
  }
}

absl::StatusOr<std::optional<absl::string_view>> LineReader::Next() {
  while (true) {
    const size_t found = buffer_.find('\n', scanned_);
    const size_t end = found != std::string::npos ? found : buffer_.size();
    if (end - begin_ > kMaxLineBytes) {
      ++line_number_;
      LORY_RETURN_IF_ERROR(SkipLine());
      return absl::OutOfRangeError(
          absl::StrCat("longer than ", kMaxLineBytes >> 20, " MiB"));
    }
    if (found == std::string::npos && !at_end_) {
      LORY_RETURN_IF_ERROR(Fill());
      continue;
    }
    if (found == std::string::npos && begin_ == end) return std::nullopt;
    absl::string_view line(buffer_.data() + begin_, end - begin_);
    begin_ = scanned_ = found != std::string::npos ? end + 1 : end;
    if (++line_number_ == 1 && absl::StartsWith(line, kByteOrderMark)) {
      line.remove_prefix(kByteOrderMark.size());
    }
    return line;
  }
}

}  // namespace lory::corpus
