#include <filesystem>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/io/storage.h"
#include "common/text/tokenizer_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/sentence_piece_file.h"
#include "tests/unit/tools/corpus/build_fixture.h"
#include "tools/corpus/inspect.h"
#include "tools/corpus/sentence_piece_trainer.h"
#include "tools/corpus/tokenizer_stage.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct BuildTokenizerTest : BuildFixture {};

TEST_F(BuildTokenizerTest, ATokenizerCanBeTakenOver) {
  Build();
  spec.tokenizer_file = folder.Write("t.json", Read("tokenizer.json"));
  EXPECT_THAT(Build(), ElementsAre("tokenizer"));
  spec.tokenizer_file = folder.Write("u.json", "{}");
  EXPECT_THAT(
      BuildDataset(spec, {}, captured.progress()),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("u.json")));
  // Before anything is read.
  spec.output = folder.At("other");
  EXPECT_FALSE(BuildDataset(spec, {}, captured.progress()).ok());
  EXPECT_FALSE(std::filesystem::exists(folder.At("other/stages/ingest")));
}

TEST_F(BuildTokenizerTest, ATokenizerOfSentencePieceGoesWithTheDataset) {
  Build();
  ASSERT_TRUE(std::filesystem::exists(folder.At("out/tokenizer.json")));
  const std::string model = testing::SentencePieceFile().Bytes();
  spec.tokenizer_file = folder.Write("t.model", model);
  Build();
  EXPECT_EQ(Read("tokenizer.model"), model);
  // That of the build before is none of this dataset.
  EXPECT_FALSE(std::filesystem::exists(folder.At("out/tokenizer.json")));
  EXPECT_OK(Verify());
  EXPECT_OK(InspectDataset(spec.output, 0));
  const auto opened =
      text::OpenTokenizer(spec.output, {.vocabulary_size = 267});
  ASSERT_OK(opened);
  EXPECT_EQ(opened->end_of_document, "</s>");
  EXPECT_EQ(*io::FileSha256Hex(text::TokenizerPath(spec.output)),
            Sha256Hex(model));
  spec.tokenizer_file.clear();
  Build();
  EXPECT_FALSE(std::filesystem::exists(folder.At("out/tokenizer.model")));
  EXPECT_OK(Verify());
}

TEST_F(BuildTokenizerTest, ATokenizerOfSentencePieceCanBeTrained) {
  spec.tokenizer_kind = kSentencePieceBpe;
  spec.vocabulary_size = 400;
  Build();
  const std::string model = Read("tokenizer.model");
  EXPECT_OK(Verify());
  const auto tokenizer = text::LoadTokenizer(folder.At("out/tokenizer.model"));
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->end_of_document(), "</s>");
  EXPECT_GT((*tokenizer)->vocabulary_size(), 259);
  const std::string text = "7 na\u00efve \u4f60\u597d  words\n";
  EXPECT_EQ((*tokenizer)->Decode((*tokenizer)->Encode(text)), text);
  // The same once more, from nothing.
  spec.output = folder.At("again");
  ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
  EXPECT_EQ(*io::LocalStorage().Read(folder.At("again/tokenizer.model")),
            model);
  spec.vocabulary_size = 260;
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tokenizer.vocabulary_size: is 260; of this "
                                 "text it must be ")));
  // What it says is what there must be, and one less is too few.
  const auto refused = BuildDataset(spec, {}, captured.progress());
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(
      refused.status().message(), absl::MaxSplits(" must be ", 1));
  int64_t least = 0;
  ASSERT_TRUE(
      absl::SimpleAtoi(parts.second.substr(0, parts.second.find(' ')), &least));
  spec.vocabulary_size = least - 1;
  EXPECT_THAT(
      BuildDataset(spec, {}, captured.progress()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr(absl::StrCat("must be ", least, " at least"))));
  spec.vocabulary_size = least;
  Build();
  // More than there are pairs to join is told, too.
  captured.Take();
  spec.vocabulary_size = 100'000;
  EXPECT_OK(BuildDataset(spec, {}, captured.progress()));
  EXPECT_THAT(captured.Take(), HasSubstr("tokens worth learning, not 100000"));
}

TEST(SentencePieceTraining, ALongDocumentIsNotHeldWhole) {
  testing::TemporaryFolder folder;
  auto writer = DocumentStoreWriter::Create(folder.At("store"));
  ASSERT_OK(writer);
  const std::string lines(2'000'000, 'a');  // in parts of kMostSentenceBytes
  ASSERT_OK((*writer)->Append(IdOfText(lines), "name", "domain", lines));
  ASSERT_OK((*writer)->Finish());
  const auto store = DocumentStore::Open(folder.At("store"));
  ASSERT_OK(store);
  testing::CapturedProgress captured;
  const std::vector<uint8_t> held_out = {0};
  std::filesystem::create_directories(folder.At("out"));
  const auto result =
      TrainSentencePieceTokenizer(*store, held_out, 300, /*megabytes=*/1,
                                  folder.At("out"), captured.progress());
  ASSERT_OK(result);
  const size_t parts =
      (1'000'000 + kMostSentenceBytes - 1) / kMostSentenceBytes;
  EXPECT_THAT(result->summary,
              HasSubstr(absl::StrCat("learned from ", parts, " lines")));
}

}  // namespace
}  // namespace lory::corpus
