#include "common/text/same_tokenizer.h"

#include "common/base/hash.h"
#include "common/text/byte_pair_model.h"
#include "common/text/tokenizer_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::text {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(SameTokenizer, WhatIsNotKnownMayBeAny) {
  const std::string a(64, 'a');
  EXPECT_OK(CheckSameTokenizer({"x", a}, {"y", a}, ""));
  EXPECT_OK(CheckSameTokenizer({"x", ""}, {"y", a}, ""));
  EXPECT_OK(CheckSameTokenizer({"x", a}, {"y", ""}, ""));
  EXPECT_OK(CheckSameTokenizer({"x", ""}, {"y", ""}, ""));
}

TEST(SameTokenizer, TwoAreNamedBothAndWhatToDo) {
  EXPECT_THAT(CheckSameTokenizer({"data/b", "0123456789abcdef"},
                                 {"the model", "fedcba9876543210"}, "mend it"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("data/b"), HasSubstr("0123456789ab..."),
                             HasSubstr("the model has fedcba987654..."),
                             HasSubstr("; mend it"), Not(HasSubstr("abc")))));
}

TEST(SameTokenizer, AFileIsOpenedIfItIsTheOneWanted) {
  const TemporaryFolder folder;
  BytePairModel model;
  for (const uint8_t byte : ByteAlphabet()) {
    model.tokens.emplace_back(1, static_cast<char>(byte));
  }
  model.tokens.emplace_back();
  model.end_of_document_id = 256;
  const std::string json = SerializeBytePairModel(model);
  folder.Write("data/tokenizer.json", json);
  EXPECT_OK(OpenTokenizer(folder.At("data"), {.vocabulary_size = 257}));
  EXPECT_OK(OpenTokenizer(folder.At("data"),
                          {.vocabulary_size = 257, .sha256 = Sha256Hex(json)}));
  // The same ids, other text.
  std::swap(model.tokens[3], model.tokens[7]);
  folder.Write("data/tokenizer.json", SerializeBytePairModel(model));
  EXPECT_THAT(OpenTokenizer(folder.At("data"), {.vocabulary_size = 257,
                                                .sha256 = Sha256Hex(json)}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("data/tokenizer.json"),
                             HasSubstr(Sha256Hex(json).substr(0, 12)),
                             HasSubstr("the dataset it was trained on"))));
}

TEST(SameTokenizer, AModelMayHaveMoreIdsThanItsOwnTokenizer) {
  const TemporaryFolder folder;
  BytePairModel model;
  for (const uint8_t byte : ByteAlphabet()) {
    model.tokens.emplace_back(1, static_cast<char>(byte));
  }
  const std::string json = SerializeBytePairModel(model);
  const std::string path = folder.Write("tokenizer.json", json);
  const std::string own = Sha256Hex(json);
  EXPECT_OK(OpenTokenizer(path, {.vocabulary_size = 256, .sha256 = own}));
  EXPECT_OK(OpenTokenizer(path, {.vocabulary_size = 320, .sha256 = own}));
  const auto refused = StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("a vocabulary of 256, the model's"));
  EXPECT_THAT(OpenTokenizer(path, {.vocabulary_size = 255, .sha256 = own}),
              refused);
  // Which one it wants nobody knows: only the size speaks for this one.
  EXPECT_THAT(OpenTokenizer(path, {.vocabulary_size = 320}), refused);
  EXPECT_THAT(OpenTokenizer(path, {.vocabulary_size = 320,
                                   .sha256 = std::string(64, 'a')}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("the same token ids may mean other text")));
}

}  // namespace
}  // namespace lory::text
