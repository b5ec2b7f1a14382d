#include <bit>
#include <limits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/data/shard_file.h"
#include "common/data/shard_layout.h"
#include "common/io/storage.h"

static_assert(std::endian::native == std::endian::little,
              "shards are written as they lie in memory");

namespace lory::data {
namespace {

// A file under way and the hash of what went into it.
class HashedFile {
 public:
  explicit HashedFile(std::unique_ptr<io::FileWriter> writer)
      : writer_(std::move(writer)) {}

  absl::Status Append(absl::string_view bytes) {
    hash_.Update(bytes);
    return writer_->Append(bytes);
  }
  template <typename T>
  absl::Status AppendValue(const T& value) {
    return Append({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  absl::Status Commit() { return writer_->Commit(); }
  std::string HashHex() { return absl::BytesToHexString(hash_.Finish()); }

 private:
  std::unique_ptr<io::FileWriter> writer_;
  Sha256 hash_;
};

class StoredShardWriter final : public ShardWriter {
 public:
  StoredShardWriter(std::string path_prefix, int32_t tokens_per_sequence,
                    int64_t vocabulary_size, HashedFile bin)
      : path_prefix_(std::move(path_prefix)),
        tokens_per_sequence_(tokens_per_sequence),
        vocabulary_size_(vocabulary_size),
        code_(vocabulary_size <= kUint16Vocabulary ? kUint16Code : kInt32Code),
        bin_(std::move(bin)) {}

  absl::Status Append(std::span<const int32_t> tokens) override {
    if (tokens.size() != static_cast<size_t>(tokens_per_sequence_)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a sequence of ", tokens.size(),
                       " tokens in a shard of ", tokens_per_sequence_));
    }
    for (const int32_t token : tokens) {
      if (token < 0 || token >= vocabulary_size_) {
        return absl::InvalidArgumentError(absl::StrCat(
            "token ", token, " is outside a vocabulary of ", vocabulary_size_));
      }
    }
    ++sequence_count_;
    if (code_ == kInt32Code) {
      return bin_.Append(
          {reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
    }
    narrow_.assign(tokens.begin(), tokens.end());
    return bin_.Append({reinterpret_cast<const char*>(narrow_.data()),
                        narrow_.size() * sizeof(uint16_t)});
  }

  absl::StatusOr<ShardEntry> Finish() override {
    if (sequence_count_ == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("shard ", path_prefix_, " has no sequences"));
    }
    // The .idx comes last: a shard is there when its .idx is.
    LORY_RETURN_IF_ERROR(bin_.Commit());
    LORY_ASSIGN_OR_RETURN(
        std::unique_ptr<io::FileWriter> writer,
        io::LocalStorage().Create(absl::StrCat(path_prefix_, ".idx")));
    HashedFile idx(std::move(writer));
    LORY_RETURN_IF_ERROR(WriteIndex(idx));
    LORY_RETURN_IF_ERROR(idx.Commit());
    ShardEntry entry;
    entry.file = path_prefix_.substr(path_prefix_.rfind('/') + 1);
    entry.sequence_count = sequence_count_;
    entry.bin_bytes = sequence_count_ * SequenceBytes();
    entry.bin_sha256 = bin_.HashHex();
    entry.idx_sha256 = idx.HashHex();
    return entry;
  }

 private:
  int64_t SequenceBytes() const {
    return tokens_per_sequence_ * TokenBytes(code_);
  }

  absl::Status WriteIndex(HashedFile& idx) const {
    LORY_RETURN_IF_ERROR(idx.Append({kShardMagic.data(), kShardMagic.size()}));
    LORY_RETURN_IF_ERROR(idx.AppendValue(kShardVersion));
    LORY_RETURN_IF_ERROR(idx.AppendValue(code_));
    LORY_RETURN_IF_ERROR(idx.AppendValue(sequence_count_));
    LORY_RETURN_IF_ERROR(idx.AppendValue(sequence_count_ + 1));
    for (int64_t i = 0; i < sequence_count_; ++i) {
      LORY_RETURN_IF_ERROR(idx.AppendValue(tokens_per_sequence_));
    }
    for (int64_t i = 0; i < sequence_count_; ++i) {
      LORY_RETURN_IF_ERROR(idx.AppendValue(i * SequenceBytes()));
    }
    for (int64_t i = 0; i <= sequence_count_; ++i) {
      LORY_RETURN_IF_ERROR(idx.AppendValue(i));
    }
    return absl::OkStatus();
  }

  const std::string path_prefix_;
  const int32_t tokens_per_sequence_;
  const int64_t vocabulary_size_;
  const uint8_t code_;
  HashedFile bin_;
  int64_t sequence_count_ = 0;
  std::vector<uint16_t> narrow_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ShardWriter>> ShardWriter::Create(
    std::string path_prefix, int32_t tokens_per_sequence,
    int64_t vocabulary_size) {
  if (tokens_per_sequence < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "sequences of ", tokens_per_sequence, " tokens: at least one"));
  }
  if (vocabulary_size < 1 ||
      vocabulary_size > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a vocabulary of ", vocabulary_size, " does not fit int32"));
  }
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<io::FileWriter> bin,
      io::LocalStorage().Create(absl::StrCat(path_prefix, ".bin")));
  return std::make_unique<StoredShardWriter>(
      std::move(path_prefix), tokens_per_sequence, vocabulary_size,
      HashedFile(std::move(bin)));
}

}  // namespace lory::data
