#include "tools/corpus/megatron_tokens.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/corpus/token_samples.h"

namespace lory::corpus {
namespace {

using ::lory::testing::Mutations;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct MegatronTest : ::testing::Test {
  absl::StatusOr<std::unique_ptr<MegatronTokens>> Open(const std::string& idx,
                                                       const std::string& bin) {
    folder.Write("a.bin", bin);
    return MegatronTokens::Open(folder.Write("a.idx", idx));
  }
  void ExpectDamage(const std::string& idx, const std::string& bin,
                    const std::string& message) {
    EXPECT_THAT(Open(idx, bin),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(HasSubstr("a.idx: "), HasSubstr(message))));
  }

  TemporaryFolder folder;
};

std::vector<int32_t> TokensOf(const MegatronTokens& tokens, int64_t document) {
  std::vector<int32_t> ids;
  EXPECT_OK(
      AppendTokens(tokens.BytesOf(document), tokens.type(), 70'000, &ids));
  return ids;
}

TEST_F(MegatronTest, ADocumentHasAllItsSequences) {
  const std::vector<uint16_t> bin = {1, 2, 3, 65535, 5, 6};
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto tokens,
      Open(MegatronIndex(8, 2, {2, 0, 1, 3}, {0, 1, 3, 3, 4}), Packed(bin)));
  ASSERT_EQ(tokens->document_count(), 4);
  EXPECT_THAT(TokensOf(*tokens, 0), ElementsAre(1, 2));
  EXPECT_THAT(TokensOf(*tokens, 1), ElementsAre(3));
  EXPECT_THAT(TokensOf(*tokens, 2), ElementsAre());
  EXPECT_THAT(TokensOf(*tokens, 3), ElementsAre(65535, 5, 6));
}

template <typename T>
void ExpectType(const TemporaryFolder& folder, uint8_t code) {
  folder.Write("t.bin", Packed<T>({1, 127}));
  const std::string idx =
      folder.Write("t.idx", MegatronIndex(code, sizeof(T), {1, 1}, {0, 2}));
  LORY_ASSERT_OK_AND_ASSIGN(const auto tokens, MegatronTokens::Open(idx));
  EXPECT_THAT(TokensOf(*tokens, 0), ElementsAre(1, 127)) << int{code};
}

TEST_F(MegatronTest, EveryTypeOfWholeNumbersIsRead) {
  ExpectType<uint8_t>(folder, 1);
  ExpectType<int8_t>(folder, 2);
  ExpectType<int16_t>(folder, 3);
  ExpectType<int32_t>(folder, 4);
  ExpectType<int64_t>(folder, 5);
  ExpectType<uint16_t>(folder, 8);
  for (const uint8_t code : {0, 6, 7, 9, 255}) {
    EXPECT_THAT(Open(MegatronIndex(code, 4, {1}, {0, 1}), "1234"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(absl::StrCat("type ", code, " (byte 17)"))));
  }
}

TEST_F(MegatronTest, ADatasetWithoutDocumentsIsEmpty) {
  LORY_ASSERT_OK_AND_ASSIGN(const auto tokens,
                            Open(MegatronIndex(4, 4, {}, {0}), ""));
  EXPECT_EQ(tokens->document_count(), 0);
}

TEST_F(MegatronTest, DamageIsNamedWithFileAndByte) {
  const std::string good = MegatronIndex(4, 4, {1, 2}, {0, 1, 2});
  const std::string bin(12, '\0');
  EXPECT_OK(Open(good, bin));
  ExpectDamage("", bin, "truncated: 0 bytes, its header has 34");
  ExpectDamage("MM" + good, bin, "does not begin with MMIDIDX");
  ExpectDamage(good.substr(0, good.size() - 1), bin,
               "81 bytes, 2 sequences and 3 document marks need 82");
  ExpectDamage(good + "123", bin, "85 bytes, 2 sequences");
  ExpectDamage(MegatronIndex(4, 4, {1, -2}, {0, 2}), bin,
               "sequence 1 has -2 tokens (byte 38)");
  ExpectDamage(MegatronIndex(4, 8, {1, 2}, {0, 2}), bin,
               "sequence 1 begins at byte 8 of the .bin (byte 50), those "
               "before it end at 4");
  ExpectDamage(MegatronIndex(4, 4, {1, 1 << 30}, {0, 2}), bin,
               "sequence 1 ends at byte 4294967300 of ");
  ExpectDamage(good, bin + "1234", "its sequences have 12 bytes, ");
  ExpectDamage(MegatronIndex(4, 4, {1, 2}, {}), bin, "no document mark");
  ExpectDamage(MegatronIndex(4, 4, {1, 2}, {1, 2}), bin,
               "document mark 0 is 1 (byte 58)");
  ExpectDamage(MegatronIndex(4, 4, {1, 2}, {0, 2, 1, 2}), bin,
               "document mark 2 is 1 (byte 74)");
  ExpectDamage(MegatronIndex(4, 4, {1, 2}, {0, 3}), bin, "mark 1 is 3");
  ExpectDamage(MegatronIndex(4, 4, {1, 2}, {0, 1}), bin, "mark 1 is 1");
  std::string later = good;
  later[9] = 2;
  ExpectDamage(later, bin, "version 2 (byte 9), expected 1");
}

TEST_F(MegatronTest, CountsThatLieAskForNoMemory) {
  std::string idx = MegatronIndex(4, 4, {1}, {0, 1});
  for (const size_t place : {18, 26}) {
    std::string lie = idx;
    lie.replace(place, 8, 8, '\xff');
    ExpectDamage(lie, "1234", "do not hold");
  }
}

TEST_F(MegatronTest, WhatIsNotForTextIsRefused) {
  EXPECT_THAT(
      Open(MegatronIndex(4, 4, {1, 1}, {0, 2}) + "12", "12345678"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("multimodal")));
  EXPECT_THAT(
      MegatronTokens::Open(folder.At("a.bin")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("give the .idx")));
  folder.Write("b.idx", MegatronIndex(4, 4, {1}, {0, 1}));
  EXPECT_THAT(MegatronTokens::Open(folder.At("b.idx")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("b.bin")));
}

// Whatever opens has tokens inside its .bin and loses none of them.
TEST_F(MegatronTest, MutationsOpenSoundOrNotAtAll) {
  const std::vector<int32_t> bin = {1, 2, 3, 4, 5, 6, 7};
  const std::string good = MegatronIndex(4, 4, {3, 0, 2, 2}, {0, 1, 3, 4});
  folder.Write("a.bin", Packed(bin));
  Mutations mutations(20261123);
  int opened = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto tokens =
        MegatronTokens::Open(folder.Write("a.idx", mutations.Of(good)));
    if (!tokens.ok()) continue;
    ++opened;
    std::string all;
    for (int64_t j = 0; j < (*tokens)->document_count(); ++j) {
      absl::StrAppend(&all, (*tokens)->BytesOf(j));
    }
    ASSERT_EQ(all, Packed(bin)) << i;
  }
  EXPECT_GT(opened, 10);
  EXPECT_LT(opened, 1500);
}

}  // namespace
}  // namespace lory::corpus
