#include "tools/corpus/pack.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "common/base/random.h"
#include "common/text/byte_pair_model.h"
#include "common/text/byte_pair_tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tools/corpus/byte_pair_trainer.h"
#include "tools/corpus/document_index.h"

namespace lory::corpus {
namespace {

using ::lory::testing::CapturedProgress;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct TokenStreamTest : ::testing::Test {
  // Documents of these lengths, of letters only: a token a byte and the end.
  void Make(const std::vector<int>& lengths) {
    auto writer = *DocumentStoreWriter::Create(folder.At("documents"));
    Random random(1);
    for (const int length : lengths) {
      std::string text;
      for (int i = 0; i < length; ++i) {
        text += static_cast<char>('a' + random.Below(26));
      }
      ASSERT_OK(writer->Append(IdOfText(text), "", "d", text));
    }
    ASSERT_OK(writer->Finish());
    const text::BytePairTokenizer tokenizer(TrainBytePairs({}, 257));
    const auto documents = DocumentStore::Open(folder.At("documents"));
    ASSERT_OK(Tokenize(*documents, tokenizer, folder.At("tokens"),
                       captured.progress()));
    tokens =
        std::make_unique<TokenStore>(*TokenStore::Open(folder.At("tokens")));
  }

  TemporaryFolder folder;
  CapturedProgress captured;
  std::unique_ptr<TokenStore> tokens;
};

TEST_F(TokenStreamTest, PutsDocumentsEndToEndInTheGivenOrder) {
  Make({3, 0, 5});
  const std::vector<int32_t> order = {2, 0, 1};
  const TokenStream stream(*tokens, order);
  EXPECT_EQ(stream.size(), 6 + 4 + 1);
  EXPECT_EQ(stream.BeginOf(1), 6);
  std::vector<int32_t> all(11);
  stream.Copy(0, all);
  std::vector<int32_t> expected;
  for (const int32_t document : order) {
    const auto of = tokens->Of(document);
    expected.insert(expected.end(), of.begin(), of.end());
  }
  EXPECT_EQ(all, expected);
  EXPECT_EQ(all[5], 0);  // ends of documents
  EXPECT_EQ(all[9], 0);
  EXPECT_EQ(all[10], 0);
}

TEST_F(TokenStreamTest, ContextsKeepEveryTokenOnceButTheTail) {
  Random random(2);
  std::vector<int> lengths;
  for (int i = 0; i < 60; ++i) lengths.push_back(random.Below(40));
  Make(lengths);
  std::vector<int32_t> order(lengths.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::reverse(order.begin(), order.end());
  const TokenStream stream(*tokens, order);
  std::vector<int32_t> whole(stream.size());
  stream.Copy(0, whole);
  for (const int64_t context : {1, 7, 17, 64}) {
    const int64_t count = stream.size() / context;
    // As stored, then put back by the permutation.
    std::vector<int32_t> rebuilt(count * context);
    std::vector<bool> seen(count);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = PackedPlaceOf(3, count, i);
      ASSERT_FALSE(seen[place]);
      seen[place] = true;
      stream.Copy(place * context,
                  std::span(rebuilt).subspan(place * context, context));
    }
    EXPECT_TRUE(std::equal(rebuilt.begin(), rebuilt.end(), whole.begin()));
    EXPECT_LT(stream.size() - count * context, context);
  }
}

TEST_F(TokenStreamTest, SimilarityIsThatOfPairsInsideContexts) {
  Make({3, 3, 3, 3});  // four tokens each
  const std::vector<int32_t> order = {0, 1, 2, 3};
  const std::vector<float> vectors = {1, 0, 1, 0, 0, 1, 0, 1};
  const TokenStream stream(*tokens, order);
  // One context: pairs 0-1 (1), 1-2 (0), 2-3 (1).
  EXPECT_NEAR(MeanNeighborSimilarity(stream, order, vectors, 2, 16), 2. / 3,
              1e-9);
  // Contexts of eight: the pair 1-2 stands on a boundary and does not count.
  EXPECT_NEAR(MeanNeighborSimilarity(stream, order, vectors, 2, 8), 1, 1e-9);
  EXPECT_EQ(MeanNeighborSimilarity(stream, order, vectors, 2, 4), 0);
  // Cosines, whatever the lengths.
  const std::vector<float> scaled = {2, 0, 4, 0, 0, 8, 0, 2};
  EXPECT_NEAR(MeanNeighborSimilarity(stream, order, scaled, 2, 16), 2. / 3,
              1e-9);
}

TEST(PackedPlaceOf, IsTheSameForEver) {
  // Datasets on disk depend on it: inspect finds documents by it.
  std::vector<int64_t> places;
  for (int i = 0; i < 8; ++i) places.push_back(PackedPlaceOf(1, 8, i));
  EXPECT_THAT(places, ElementsAre(0, 5, 2, 7, 3, 6, 1, 4));
}

TEST(DocumentIndex, SurvivesTheRoundTrip) {
  TemporaryFolder folder;
  const std::string lines =
      SerializeIndexedDocument({"aa", "x \"y\"", "d", 0, 5, std::nullopt}) +
      SerializeIndexedDocument({"bb", "", "d", 5, 7, 0.25});
  LORY_ASSERT_OK_AND_ASSIGN(const auto documents,
                            ReadDocumentIndex(folder.Write("i", lines)));
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].name, "x \"y\"");
  EXPECT_FALSE(documents[0].similarity);
  EXPECT_EQ(documents[1].similarity, 0.25);
}

TEST(DocumentIndex, AGapOrDamageIsDataLossWithFileAndLine) {
  TemporaryFolder folder;
  const std::string first =
      SerializeIndexedDocument({"aa", "", "d", 0, 5, std::nullopt});
  for (const std::string& second :
       {SerializeIndexedDocument({"bb", "", "d", 6, 7, 0.25}),
        std::string("{}\n"), std::string("x\n")}) {
    EXPECT_THAT(ReadDocumentIndex(folder.Write("i", first + second)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("i:2")));
  }
}

}  // namespace
}  // namespace lory::corpus
