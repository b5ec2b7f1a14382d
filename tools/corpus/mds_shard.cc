#include "tools/corpus/mds_shard.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {

absl::StatusOr<std::unique_ptr<MdsShardReader>> MdsShardReader::Open(
    const MdsShard& shard) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<ByteReader> bytes,
                        ByteReader::Open(shard.path));
  std::unique_ptr<MdsShardReader> reader(
      new MdsShardReader(shard, std::move(bytes)));
  LORY_RETURN_IF_ERROR(reader->ReadHeader());
  return reader;
}

absl::Status MdsShardReader::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, ": ", what));
}

// Has at least `count` bytes in the buffer behind begin_.
absl::Status MdsShardReader::Need(size_t count) {
  if (buffer_.size() - begin_ >= count) return absl::OkStatus();
  buffer_.erase(0, begin_);
  begin_ = 0;
  while (buffer_.size() < count) {
    const size_t before = buffer_.size();
    LORY_RETURN_IF_ERROR(bytes_->ReadSome(&buffer_));
    if (buffer_.size() == before) {
      return Damaged(absl::StrCat("cut off at byte ",
                                  position_ + static_cast<int64_t>(before),
                                  " of ", raw_bytes_));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> MdsShardReader::TakeNumber() {
  LORY_RETURN_IF_ERROR(Need(sizeof(uint32_t)));
  uint32_t number;
  std::memcpy(&number, buffer_.data() + begin_, sizeof(number));
  begin_ += sizeof(number);
  position_ += sizeof(number);
  return number;
}

// Drops what lies before `offset` without having it all in memory.
absl::Status MdsShardReader::SkipTo(int64_t offset) {
  while (position_ < offset) {
    LORY_RETURN_IF_ERROR(Need(1));
    const int64_t count = std::min<int64_t>(
        offset - position_, static_cast<int64_t>(buffer_.size() - begin_));
    begin_ += static_cast<size_t>(count);
    position_ += count;
  }
  return absl::OkStatus();
}

// The number of samples, where each begins and the last one ends, and the
// columns in JSON, which the index has too.
absl::Status MdsShardReader::ReadHeader() {
  LORY_ASSIGN_OR_RETURN(const uint32_t count, TakeNumber());
  if (count != sample_count_) {
    return Damaged(absl::StrCat("it has ", count, " samples, its index says ",
                                sample_count_));
  }
  int64_t end = (2 + sample_count_) * int64_t{sizeof(uint32_t)};
  // One by one: memory grows with what is there, not with what is claimed.
  for (int64_t i = 0; i <= sample_count_; ++i) {
    LORY_ASSIGN_OR_RETURN(const uint32_t offset, TakeNumber());
    if (offset < end || offset > raw_bytes_) {
      return Damaged(absl::StrCat("offset ", i, " (byte ", 4 + 4 * i, ") is ",
                                  offset, "; must be from ", end, " to ",
                                  raw_bytes_));
    }
    offsets_.push_back(offset);
    end = offset;
  }
  if (end != raw_bytes_) {
    return Damaged(
        absl::StrCat("its samples end at byte ", end, " of ", raw_bytes_));
  }
  return SkipTo(offsets_[0]);
}

absl::Status MdsShardReader::CheckEnd() {
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
    LORY_RETURN_IF_ERROR(bytes_->ReadSome(&buffer_));
  }
  if (begin_ == buffer_.size()) return absl::OkStatus();
  return Damaged(absl::StrCat("it goes on behind its ", raw_bytes_, " bytes"));
}

absl::StatusOr<std::optional<absl::string_view>> MdsShardReader::Next() {
  if (next_ == sample_count_) {
    LORY_RETURN_IF_ERROR(CheckEnd());
    return std::nullopt;
  }
  const int64_t end = offsets_[next_ + 1];
  const size_t size = end - offsets_[next_];
  ++next_;
  if (size > kMaxLineBytes) {
    LORY_RETURN_IF_ERROR(SkipTo(end));
    return absl::OutOfRangeError(
        absl::StrCat("longer than ", kMaxLineBytes >> 20, " MiB"));
  }
  LORY_RETURN_IF_ERROR(Need(size));
  const absl::string_view sample(buffer_.data() + begin_, size);
  begin_ += size;
  position_ = end;
  return sample;
}

}  // namespace lory::corpus
