#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/data/shard_file.h"
#include "common/data/shard_layout.h"
#include "common/io/mapped_file.h"

namespace lory::data {
namespace {

template <typename T>
T Load(absl::string_view bytes, int64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

struct Shape {
  uint8_t code = 0;
  int64_t sequence_count = 0;
  int32_t tokens_per_sequence = 0;
};

// Every byte of the index is implied by four numbers, so every byte is
// checked: whatever is damaged is found here and not in training.
absl::StatusOr<Shape> CheckIndex(absl::string_view idx) {
  const auto damaged = [](absl::string_view what) {
    return absl::DataLossError(what);
  };
  if (static_cast<int64_t>(idx.size()) < kShardHeaderBytes) {
    return damaged("truncated: shorter than its header");
  }
  if (!std::equal(kShardMagic.begin(), kShardMagic.end(), idx.begin())) {
    return damaged("no shard index: it does not begin with MMIDIDX");
  }
  if (const uint64_t version = Load<uint64_t>(idx, 9);
      version != kShardVersion) {
    return damaged(
        absl::StrCat("version ", version, ", expected ", kShardVersion));
  }
  Shape shape;
  shape.code = Load<uint8_t>(idx, 17);
  if (shape.code != kUint16Code && shape.code != kInt32Code) {
    return damaged(absl::StrCat("tokens of type ", shape.code,
                                ", expected uint16 (8) or int32 (4)"));
  }
  const uint64_t sequences = Load<uint64_t>(idx, 18);
  // Bounds the count before it is multiplied.
  if (sequences == 0 || sequences > idx.size() ||
      IndexBytes(static_cast<int64_t>(sequences)) !=
          static_cast<int64_t>(idx.size())) {
    return damaged(absl::StrCat("truncated or altered: ", idx.size(),
                                " bytes do not fit ", sequences, " sequences"));
  }
  shape.sequence_count = static_cast<int64_t>(sequences);
  if (Load<uint64_t>(idx, 26) != sequences + 1) {
    return damaged("document count does not fit the sequence count");
  }
  const int64_t lengths = kShardHeaderBytes;
  const int64_t offsets = lengths + 4 * shape.sequence_count;
  const int64_t documents = offsets + 8 * shape.sequence_count;
  shape.tokens_per_sequence = Load<int32_t>(idx, lengths);
  if (shape.tokens_per_sequence < 1) return damaged("an empty sequence");
  const int64_t bytes = shape.tokens_per_sequence * TokenBytes(shape.code);
  for (int64_t i = 0; i < shape.sequence_count; ++i) {
    if (Load<int32_t>(idx, lengths + 4 * i) != shape.tokens_per_sequence ||
        Load<int64_t>(idx, offsets + 8 * i) != i * bytes ||
        Load<int64_t>(idx, documents + 8 * i) != i) {
      return damaged(absl::StrCat("the entry of sequence ", i, " is wrong"));
    }
  }
  if (Load<int64_t>(idx, documents + 8 * shape.sequence_count) !=
      shape.sequence_count) {
    return damaged("the last document mark is wrong");
  }
  return shape;
}

class MappedShard final : public ShardReader {
 public:
  MappedShard(Shape shape, std::unique_ptr<io::MappedFile> bin)
      : shape_(shape), bin_(std::move(bin)) {}

  int64_t sequence_count() const override { return shape_.sequence_count; }
  int32_t tokens_per_sequence() const override {
    return shape_.tokens_per_sequence;
  }

  void Read(int64_t index, std::span<int64_t> tokens) const override {
    LORY_CHECK(index >= 0 && index < shape_.sequence_count);
    LORY_CHECK(tokens.size() ==
               static_cast<size_t>(shape_.tokens_per_sequence));
    if (shape_.code == kUint16Code) {
      Copy<uint16_t>(index, tokens);
    } else {
      Copy<int32_t>(index, tokens);
    }
  }

 private:
  template <typename T>
  void Copy(int64_t index, std::span<int64_t> tokens) const {
    // Aligned: the map begins on a page, sequences on a multiple of T.
    const T* first = reinterpret_cast<const T*>(bin_->bytes().data()) +
                     index * shape_.tokens_per_sequence;
    std::copy_n(first, tokens.size(), tokens.begin());
  }

  const Shape shape_;
  const std::unique_ptr<io::MappedFile> bin_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ShardReader>> ShardReader::Open(
    std::string path_prefix) {
  const std::string idx_path = absl::StrCat(path_prefix, ".idx");
  const std::string bin_path = absl::StrCat(path_prefix, ".bin");
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<io::MappedFile> idx,
                        io::MappedFile::Open(idx_path));
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> bin,
                        io::MappedFile::Open(bin_path));
  absl::StatusOr<Shape> shape = CheckIndex(idx->bytes());
  if (!shape.ok()) return Annotate(shape.status(), idx_path);
  const int64_t expected = shape->sequence_count * shape->tokens_per_sequence *
                           TokenBytes(shape->code);
  if (static_cast<int64_t>(bin->bytes().size()) != expected) {
    return absl::DataLossError(
        absl::StrCat(bin_path, ": truncated or altered: ", bin->bytes().size(),
                     " bytes, its index needs ", expected));
  }
  return std::make_unique<MappedShard>(*shape, std::move(bin));
}

}  // namespace lory::data
