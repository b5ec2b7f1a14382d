#ifndef LORY_TOOLS_CORPUS_MDS_SHARD_H_
#define LORY_TOOLS_CORPUS_MDS_SHARD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/corpus/byte_reader.h"
#include "tools/corpus/mds_index.h"

namespace lory::corpus {

// The samples of an MDS shard, one after the other, packed or not: in memory
// are the offsets of all and one sample. Thread-compatible.
class MdsShardReader {
 public:
  // The operating system's error; DATA_LOSS: it is no shard, or not the one of
  // its index. Messages name file and byte or sample.
  static absl::StatusOr<std::unique_ptr<MdsShardReader>> Open(
      const MdsShard& shard);

  // The bytes of the next sample, valid until the next call; none at the end.
  //
  // OUT_OF_RANGE: this sample has more than kMaxLineBytes; the call after goes
  // on behind it. DATA_LOSS: the shard is damaged.
  absl::StatusOr<std::optional<absl::string_view>> Next();

  // Number of the sample that Next returned last, from 0 on.
  int64_t sample_number() const { return next_ - 1; }

 private:
  MdsShardReader(const MdsShard& shard, std::unique_ptr<ByteReader> bytes)
      : path_(shard.path),
        sample_count_(shard.samples),
        raw_bytes_(shard.raw_bytes),
        bytes_(std::move(bytes)) {}

  absl::Status ReadHeader();
  absl::Status Need(size_t count);
  absl::Status SkipTo(int64_t offset);
  absl::Status CheckEnd();
  absl::Status Damaged(absl::string_view what) const;
  absl::StatusOr<uint32_t> TakeNumber();

  const std::string path_;
  const int64_t sample_count_;
  const int64_t raw_bytes_;
  const std::unique_ptr<ByteReader> bytes_;
  std::vector<uint32_t> offsets_;
  std::string buffer_;
  size_t begin_ = 0;      // of what was not yet handed out
  int64_t position_ = 0;  // in the shard, of begin_
  int64_t next_ = 0;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_MDS_SHARD_H_
