#include "common/data/shard_file.h"

#include <cstring>
#include <vector>

#include "common/base/hash.h"
#include "common/base/random.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::data {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

struct ShardFileTest : ::testing::Test {
  // `count` sequences of `length` random tokens in shard `s`.
  ShardEntry Write(int count, int length, int64_t vocabulary) {
    Random random(1);
    auto writer = ShardWriter::Create(folder.At("s"), length, vocabulary);
    EXPECT_OK(writer);
    sequences.clear();
    for (int i = 0; i < count; ++i) {
      std::vector<int32_t> tokens;
      for (int j = 0; j < length; ++j) {
        tokens.push_back(static_cast<int32_t>(random.Below(vocabulary)));
      }
      EXPECT_OK((*writer)->Append(tokens));
      sequences.push_back(tokens);
    }
    auto entry = (*writer)->Finish();
    EXPECT_OK(entry);
    return *entry;
  }
  std::string Bytes(const std::string& name) {
    return *io::LocalStorage().Read(folder.At(name));
  }
  absl::Status OpenWithIndex(const std::string& idx) {
    folder.Write("s.idx", idx);
    return ShardReader::Open(folder.At("s")).status();
  }

  TemporaryFolder folder;
  std::vector<std::vector<int32_t>> sequences;
};

TEST_F(ShardFileTest, RoundTripsBothTokenTypes) {
  for (const int64_t vocabulary : {300, 65'536, 65'537, 2'000'000'000}) {
    const ShardEntry entry = Write(5, 7, vocabulary);
    EXPECT_EQ(entry.file, "s");
    EXPECT_EQ(entry.sequence_count, 5);
    EXPECT_EQ(entry.bin_bytes, 5 * 7 * (vocabulary <= 65'536 ? 2 : 4));
    EXPECT_EQ(entry.bin_sha256, Sha256Hex(Bytes("s.bin")));
    EXPECT_EQ(entry.idx_sha256, Sha256Hex(Bytes("s.idx")));
    LORY_ASSERT_OK_AND_ASSIGN(const auto reader,
                              ShardReader::Open(folder.At("s")));
    EXPECT_EQ(reader->sequence_count(), 5);
    ASSERT_EQ(reader->tokens_per_sequence(), 7);
    for (int i = 0; i < 5; ++i) {
      std::vector<int64_t> tokens(7);
      reader->Read(i, tokens);
      EXPECT_THAT(tokens, ElementsAreArray(sequences[i]));
    }
  }
}

// Megatron-LM, megatron/core/datasets/indexed_dataset.py, _IndexWriter.
TEST_F(ShardFileTest, TheIndexHasMegatronsBytes) {
  Write(2, 3, 500);
  std::string expected("MMIDIDX\0\0", 9);
  const auto append = [&](auto value) {
    expected.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  append(uint64_t{1});  // version
  append(uint8_t{8});   // uint16
  append(uint64_t{2});  // sequences
  append(uint64_t{3});  // document marks
  append(int32_t{3});
  append(int32_t{3});
  append(int64_t{0});
  append(int64_t{6});
  append(int64_t{0});
  append(int64_t{1});
  append(int64_t{2});
  EXPECT_EQ(Bytes("s.idx"), expected);
  EXPECT_EQ(Bytes("s.bin").size(), 12u);
}

TEST_F(ShardFileTest, WideVocabulariesUseMegatronsInt32) {
  Write(1, 1, 65'537);
  EXPECT_EQ(Bytes("s.idx")[17], 4);
}

TEST_F(ShardFileTest, TruncationAtEveryByteIsFound) {
  Write(3, 5, 500);
  const std::string idx = Bytes("s.idx");
  for (size_t size = 0; size < idx.size(); ++size) {
    EXPECT_THAT(OpenWithIndex(idx.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("s.idx")))
        << size;
  }
  folder.Write("s.idx", idx);
  const std::string bin = Bytes("s.bin");
  for (size_t size = 0; size < bin.size(); ++size) {
    folder.Write("s.bin", bin.substr(0, size));
    EXPECT_THAT(ShardReader::Open(folder.At("s")),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("s.bin")));
  }
}

TEST_F(ShardFileTest, EveryFlippedBitOfTheIndexIsFound) {
  Write(3, 5, 500);
  const std::string idx = Bytes("s.idx");
  for (size_t bit = 0; bit < idx.size() * 8; ++bit) {
    std::string flipped = idx;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(OpenWithIndex(flipped),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("")))
        << "byte " << bit / 8 << " bit " << bit % 8;
  }
}

TEST_F(ShardFileTest, AnotherVersionIsNamed) {
  Write(1, 5, 500);
  std::string idx = Bytes("s.idx");
  idx[9] = 2;
  EXPECT_THAT(OpenWithIndex(idx),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("version 2")));
}

TEST_F(ShardFileTest, AnIndexThatIsTooLongIsFound) {
  Write(1, 5, 500);
  EXPECT_TRUE(absl::IsDataLoss(OpenWithIndex(Bytes("s.idx") + '\0')));
}

TEST_F(ShardFileTest, AMissingFileIsNotFound) {
  Write(1, 5, 500);
  ASSERT_OK(io::LocalStorage().Remove(folder.At("s.bin")));
  EXPECT_THAT(ShardReader::Open(folder.At("s")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("s.bin")));
}

TEST_F(ShardFileTest, BadTokensAndLengthsAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      ShardWriter::Create(folder.At("s"), 0, 9).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ShardWriter::Create(folder.At("s"), 1, 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ShardWriter::Create(folder.At("s"), 1, int64_t{1} << 31).status()));
  LORY_ASSERT_OK_AND_ASSIGN(auto writer,
                            ShardWriter::Create(folder.At("s"), 2, 9));
  EXPECT_TRUE(absl::IsInvalidArgument(writer->Append({{1, 2, 3}})));
  EXPECT_TRUE(absl::IsInvalidArgument(writer->Append({{1, 9}})));
  EXPECT_TRUE(absl::IsInvalidArgument(writer->Append({{-1, 1}})));
}

TEST_F(ShardFileTest, AShardWithoutSequencesIsNotMade) {
  LORY_ASSERT_OK_AND_ASSIGN(auto writer,
                            ShardWriter::Create(folder.At("s"), 2, 9));
  EXPECT_TRUE(absl::IsFailedPrecondition(writer->Finish().status()));
}

TEST_F(ShardFileTest, AMutatedIndexOpensOnlyIfItIsTheSame) {
  Write(3, 5, 500);
  const std::string idx = Bytes("s.idx");
  testing::Mutations mutations(20261126);
  for (int i = 0; i < 3000; ++i) {
    const std::string mutated = mutations.Of(idx);
    EXPECT_EQ(OpenWithIndex(mutated).ok(), mutated == idx) << i;
  }
}

}  // namespace
}  // namespace lory::data
