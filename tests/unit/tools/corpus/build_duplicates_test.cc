#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/build_fixture.h"
#include "tests/unit/tools/corpus/made_up_dataset.h"
#include "tests/unit/tools/corpus/topic_encoder.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/cosine.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A corpus in which near copies are known by their words' order alone.
struct BuildDuplicatesTest : BuildFixture {
  static constexpr int kTexts = 40;
  static constexpr int kCopies = 6;

  // Texts of the same 80 words, each in an order of its own, each text some
  // times over with one word changed. All documents have all words but one, so
  // that TF-IDF gives weight to the changed ones alone.
  std::string LinesOfOneVocabulary() {
    Random random(3);
    std::vector<std::string> words;
    for (int i = 0; i < 80; ++i) words.push_back(absl::StrCat("common", i));
    std::string lines;
    for (int text = 0; text < kTexts; ++text) {
      for (size_t i = words.size() - 1; i > 0; --i) {
        std::swap(words[i], words[random.Below(i + 1)]);
      }
      for (int copy = 0; copy < kCopies; ++copy) {
        std::vector<std::string> own = words;
        own.push_back(words[random.Below(words.size())]);
        own[40] = absl::StrCat("own", text, "of", copy);
        absl::StrAppend(&lines, "{\"id\":\"", text, "/", copy, "\",\"text\":\"",
                        absl::StrJoin(own, " "), "\",\"domain\":\"",
                        copy == 0 ? "rest" : "main", "\"}\n");
      }
    }
    return lines;
  }

  // Trained documents that share half their shingles with a held-out one, by
  // looking at every pair; adds what is held out to `held_out_count`.
  int CopiesThatAreTrained(int* held_out_count) {
    const auto store = DocumentStore::Open(spec.output + "/stages/ingest");
    EXPECT_OK(store);
    const std::string held_out = Read("stages/split/held_out.bytes");
    const std::string dropped = Read("stages/duplicates/dropped.bytes");
    int copies = 0;
    for (int64_t i = 0; i < store->count(); ++i) {
      if (!held_out[i]) continue;
      ++*held_out_count;
      const auto shingles = ShinglesOf(store->TextOf(i));
      for (int64_t j = 0; j < store->count(); ++j) {
        if (held_out[j] || dropped[j]) continue;
        copies += Overlap(shingles, ShinglesOf(store->TextOf(j))) >= 0.5;
      }
    }
    return copies;
  }

  // Pairs of trained documents that are near copies, by looking at every pair.
  int NearCopiesThatAreTrained() {
    const auto store = DocumentStore::Open(spec.output + "/stages/ingest");
    const auto vectors =
        ArrayFile<float>::Open(spec.output + "/stages/embed/" + kVectorsFile);
    const std::string dropped = Read("stages/duplicates/dropped.bytes");
    const int32_t dimensions = spec.embed_dimensions;
    int pairs = 0;
    for (int64_t i = 0; i < store->count(); ++i) {
      for (int64_t j = 0; j < i; ++j) {
        const float* rows = vectors->values().data();
        pairs += !dropped[i] && !dropped[j] &&
                 Cosine(rows + i * dimensions, rows + j * dimensions,
                        dimensions) >= spec.near_duplicate &&
                 Overlap(ShinglesOf(store->TextOf(i)),
                         ShinglesOf(store->TextOf(j))) >= spec.shingle_overlap;
      }
    }
    return pairs;
  }
};

TEST_F(BuildDuplicatesTest, NoCopyIsTrainedThatVectorsDoNotSee) {
  spec.inputs = {{.path = folder.Write("in.jsonl", LinesOfOneVocabulary())}};
  Build();
  EXPECT_OK(Verify());
  int held_out = 0;
  EXPECT_EQ(CopiesThatAreTrained(&held_out), 0);
  EXPECT_GT(held_out, 5);
  const std::string pairs = Read("stages/duplicates/near_duplicates.jsonl");
  // Which the limit on cosines would have let pass.
  EXPECT_THAT(pairs, HasSubstr("\"similarity\":\"0.0"));
  EXPECT_THAT(pairs, HasSubstr("\"kept_is\":\"held out\""));
  // Room for one document at a time changes nothing but time.
  spec.neighbors.memory_mb = 1;
  EXPECT_TRUE(Build("duplicates").contains("duplicates"));
  EXPECT_EQ(Read("stages/duplicates/near_duplicates.jsonl"), pairs);
}

TEST_F(BuildDuplicatesTest, ADomainThatIsHeldOutHasNoCopyInTraining) {
  // One document of each text is of the domain; half of the rest is new.
  spec.inputs = {{.path = folder.Write("in.jsonl",
                                       LinesOfOneVocabulary() + TopicLines())}};
  spec.holdout_domains = {"rest"};
  spec.held_out_fraction = 0;
  Build();
  int held_out = 0;
  EXPECT_EQ(CopiesThatAreTrained(&held_out), 0);
  EXPECT_EQ(held_out, kTexts);
  const std::string dropped = Read("stages/duplicates/dropped.bytes");
  EXPECT_EQ(std::count(dropped.begin(), dropped.end(), '\1'),
            kTexts * (kCopies - 1));
}

TEST_F(BuildDuplicatesTest, NothingLeftToTrainIsSaid) {
  spec.inputs = {{.path = folder.Write("in.jsonl", LinesOfOneVocabulary())}};
  spec.holdout_domains = {"rest"};
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("near_duplicate: 1 to train on them")));
  spec.near_duplicate = 1;
  Build();
  EXPECT_OK(Verify());
}

// Of 120 near copies of one text: their lists have no room for all.
TEST_F(BuildDuplicatesTest, FewOfManyNearCopiesStay) {
  Random random(5);
  const auto word = [&] { return absl::StrCat("word", random.Below(2000)); };
  std::vector<std::string> text(150);
  for (std::string& each : text) each = word();
  std::string lines = TopicLines();
  for (int copy = 0; copy < 120; ++copy) {
    std::vector<std::string> own = text;
    own[random.Below(own.size())] = word();
    absl::StrAppend(&lines, "{\"id\":\"copy\",\"text\":\"",
                    absl::StrJoin(own, " "), "\"}\n");
  }
  spec.inputs = {{.path = folder.Write("in.jsonl", lines)}};
  spec.held_out_fraction = 0;
  spec.near_duplicate = 0.8;
  for (const int k : {1, 3, 10}) {
    spec.neighbors.k = k;
    Build();
    EXPECT_EQ(NearCopiesThatAreTrained(), 0) << "k = " << k;
    int copies = 0;
    const auto documents = ReadDocumentIndex(spec.output + "/documents.jsonl");
    for (const auto& document : *documents) copies += document.name == "copy";
    EXPECT_LT(copies, 4) << "k = " << k;
  }
}

// By products the longest vectors are everybody's neighbours, and copies of
// short ones would not be proposed.
TEST_F(BuildDuplicatesTest, TheMetricOfTheGraphHidesNoCopies) {
  spec.inputs = {
      {.path = folder.Write("near.jsonl", WithNearCopies(TopicLines()))}};
  spec.encoder.model = WriteTopicEncoder(folder, "model");
  spec.encoder.normalize = false;
  Build();
  const std::string by_cosine = Read("stages/duplicates/dropped.bytes");
  const std::string graph = Read("stages/neighbors/neighbors.bin");
  EXPECT_GT(std::count(by_cosine.begin(), by_cosine.end(), '\1'), 40);
  spec.neighbors.metric = Metric::kInnerProduct;
  Build();
  EXPECT_NE(Read("stages/neighbors/neighbors.bin"), graph);
  EXPECT_EQ(Read("stages/duplicates/dropped.bytes"), by_cosine);
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto files,
      io::LocalStorage().List(spec.output + "/stages/duplicates"));
  EXPECT_THAT(files, ElementsAre("dropped.bytes", "near_duplicates.jsonl",
                                 "stage.json"));
}

}  // namespace
}  // namespace lory::corpus
