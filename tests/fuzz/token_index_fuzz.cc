// A .idx in Megatron-LM's layout with its .bin: two bytes say how long the
// first is. What opens has every token in exactly one document; our own reader,
// which asks for more, reads the same tokens.
#include <cstring>

#include "common/data/shard_file.h"
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/megatron_tokens.h"

namespace lory::corpus {
namespace {

using absl::StatusCode;

void CheckDocuments(const MegatronTokens& tokens, absl::string_view bin) {
  std::string all;
  for (int64_t i = 0; i < tokens.document_count(); ++i) {
    const absl::string_view bytes = tokens.BytesOf(i);
    LORY_CHECK(bytes.size() % BytesEach(tokens.type()) == 0);
    all.append(bytes.data(), bytes.size());
    std::vector<int32_t> ids;
    fuzz::CheckError(AppendTokens(bytes, tokens.type(), 1000, &ids),
                     {StatusCode::kInvalidArgument});
    for (const int32_t id : ids) LORY_CHECK(id >= 0 && id < 1000);
  }
  LORY_CHECK(all == bin);
}

// Sequences of one length, each id little-endian and of no sign.
void CheckShard(const data::ShardReader& shard, absl::string_view bin) {
  std::vector<int64_t> row(static_cast<size_t>(shard.tokens_per_sequence()));
  const size_t ids = row.size() * static_cast<size_t>(shard.sequence_count());
  const size_t each = ids == 0 ? 0 : bin.size() / ids;
  LORY_CHECK(ids * each == bin.size());
  for (int64_t i = 0; i < shard.sequence_count(); ++i) {
    shard.Read(i, row);
    for (const int64_t id : row) {
      uint64_t expected = 0;
      std::memcpy(&expected, bin.data(), each);
      bin.remove_prefix(each);
      const bool is_negative = each == 4 && expected >> 31 != 0;
      LORY_CHECK(is_negative || id == static_cast<int64_t>(expected));
    }
  }
}

}  // namespace

LORY_FUZZ(input) {
  if (input.size() < 2) return;
  const size_t claimed = static_cast<uint8_t>(input[0]) |
                         static_cast<size_t>(static_cast<uint8_t>(input[1]))
                             << 8;
  input.remove_prefix(2);
  const absl::string_view idx = input.substr(0, claimed);
  const absl::string_view bin = input.substr(idx.size());
  const std::string path = fuzz::Folder().Write("a.idx", idx);
  fuzz::Folder().Write("a.bin", bin);
  const auto tokens = MegatronTokens::Open(path);
  fuzz::CheckError(tokens.status(),
                   {StatusCode::kDataLoss, StatusCode::kInvalidArgument});
  if (tokens.ok()) CheckDocuments(**tokens, bin);
  const auto shard = data::ShardReader::Open(fuzz::Folder().At("a"));
  fuzz::CheckError(shard.status(), {StatusCode::kDataLoss});
  if (shard.ok()) CheckShard(**shard, bin);
}

}  // namespace lory::corpus
