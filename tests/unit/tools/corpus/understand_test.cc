// stats, compare and map: what people look at.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/made_up_dataset.h"
#include "tools/corpus/build.h"
#include "tools/corpus/coherence.h"
#include "tools/corpus/compare.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/inspect.h"
#include "tools/corpus/map.h"
#include "tools/corpus/pack.h"
#include "tools/corpus/projection.h"
#include "tools/corpus/stats.h"
#include "tools/corpus/verify.h"

namespace lory::corpus {
namespace {

using ::lory::testing::CapturedProgress;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct UnderstandTest : ::testing::Test {
  UnderstandTest() : spec(TopicSpec(folder)) {
    spec.near_duplicate = 1;
    spec.sequence_length = 2000;
    EXPECT_OK(BuildDataset(spec, {}, captured.progress()));
  }

  // The same in random order, beside it.
  std::string BuildRandom() {
    CorpusSpec random = spec;
    random.output = folder.At("random");
    random.order = DocumentOrder::kRandom;
    EXPECT_OK(BuildDataset(random, {}, captured.progress()));
    return random.output;
  }
  DatasetView View() {
    auto view = DatasetView::Open(spec.output);
    EXPECT_OK(view);
    EXPECT_OK(view->OpenVectors());
    return *std::move(view);
  }

  TemporaryFolder folder;
  CapturedProgress captured;
  CorpusSpec spec;
};

// Every mean by its definition, one pair after the other.
TEST_F(UnderstandTest, CoherenceEqualsTheNaiveLoops) {
  const DatasetView view = View();
  const int64_t count = view.manifest().SequenceCount();
  const auto cosine = [&](int64_t a, int64_t b) {
    return Similarity(view.VectorOf(a), view.VectorOf(b), view.dimensions());
  };
  std::vector<std::vector<int64_t>> contexts;  // as stored
  double purity = 0;
  for (int64_t stored = 0; stored < count; ++stored) {
    const int64_t begin =
        PackedPlaceOf(view.manifest().seed, count, stored) * view.context();
    std::vector<int64_t>& context = contexts.emplace_back();
    std::map<std::string, int64_t> domains;
    for (size_t i = 0; i < view.documents().size(); ++i) {
      const IndexedDocument& document = view.documents()[i];
      int64_t inside = 0;
      for (int64_t t = begin; t < begin + view.context(); ++t) {
        inside += t >= document.first_token &&
                  t < document.first_token + document.token_count;
      }
      if (inside == 0) continue;
      context.push_back(static_cast<int64_t>(i));
      domains[document.domain] += inside;
    }
    int64_t most = 0;
    for (const auto& [domain, tokens] : domains) most = std::max(most, tokens);
    purity += static_cast<double>(most) / static_cast<double>(view.context());
  }
  const auto mean_between = [&](const auto& a, const auto& b) {
    double sum = 0;
    for (const int64_t i : a) {
      for (const int64_t j : b) sum += cosine(i, j);
    }
    return sum / static_cast<double>(a.size() * b.size());
  };
  double inside = 0, next = 0, any = 0;
  int64_t with_pairs = 0;
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0;
    for (const int64_t a : contexts[i]) {
      for (const int64_t b : contexts[i]) sum += a == b ? 0 : cosine(a, b);
    }
    const double size = static_cast<double>(contexts[i].size());
    if (size > 1) {
      inside += sum / (size * (size - 1));
      ++with_pairs;
    }
    if (i > 0) next += mean_between(contexts[i - 1], contexts[i]);
    for (int64_t j = 0; j < count; ++j) {
      if (i != j) any += mean_between(contexts[i], contexts[j]);
    }
  }
  const Coherence found = MeasureCoherence(view);
  ASSERT_EQ(found.contexts, count);
  ASSERT_GT(with_pairs, 10);
  EXPECT_NEAR(found.inside, inside / static_cast<double>(with_pairs), 1e-6);
  EXPECT_NEAR(found.next, next / static_cast<double>(count - 1), 1e-6);
  EXPECT_NEAR(found.any, any / static_cast<double>(count * (count - 1)), 1e-6);
  EXPECT_NEAR(found.purity, purity / static_cast<double>(count), 1e-9);
  EXPECT_NEAR(found.neighbors, view.manifest().neighbor_similarity, 0.01);
}

TEST_F(UnderstandTest, CompareShowsWhatTheOrderIsGoodFor) {
  LORY_ASSERT_OK_AND_ASSIGN(const std::string text,
                            CompareDatasets(spec.output, BuildRandom()));
  EXPECT_THAT(text, AllOf(HasSubstr("similarity"), HasSubstr("random"),
                          HasSubstr("the same, in two orders")));
  const DatasetView similar = View();
  auto random = DatasetView::Open(folder.At("random"));
  ASSERT_OK(random->OpenVectors());
  const Coherence a = MeasureCoherence(similar);
  const Coherence b = MeasureCoherence(*random);
  EXPECT_GT(a.inside, b.inside + 0.2);
  EXPECT_GT(a.purity, b.purity + 0.1);
  EXPECT_NEAR(a.next, a.any, 0.15);
}

TEST_F(UnderstandTest, StatsTellOfInputLengthsOrderAndContexts) {
  LORY_ASSERT_OK_AND_ASSIGN(const std::string text, DatasetStats(spec.output));
  EXPECT_THAT(text, AllOf(HasSubstr("input: 240 documents"),
                          HasSubstr("tokens of a document: median"),
                          HasSubstr("neighbours: exact, of all documents"),
                          HasSubstr("order: similarity"),
                          HasSubstr("no order can exceed"),
                          HasSubstr("cosine of documents side by side")));
}

TEST_F(UnderstandTest, WithoutTheStagesTheRestIsStillTold) {
  ASSERT_OK(io::LocalStorage().Remove(spec.output + "/stages"));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string text, DatasetStats(spec.output));
  EXPECT_THAT(text, AllOf(HasSubstr("tokens of a document: median"),
                          HasSubstr("run lory-corpus build")));
  for (const absl::Status& status :
       {CompareDatasets(spec.output, spec.output).status(),
        MapDataset(spec.output, {}, folder.At("m.svg")).status()}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 HasSubstr("run lory-corpus build")));
  }
}

TEST_F(UnderstandTest, StagesOfAnotherBuildAreNotTakenForThisOne) {
  folder.Write(
      "out/documents.jsonl",
      SerializeIndexedDocument({.id = std::string(32, '0'),
                                .domain = "d",
                                .token_count = View().manifest().token_count}));
  EXPECT_THAT(CompareDatasets(spec.output, spec.output),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("of another build")));
}

TEST_F(UnderstandTest, CountsThatTheDocumentsDoNotHaveAreRefused) {
  const std::string manifest =
      *io::LocalStorage().Read(folder.At("out/manifest.json"));
  const auto with = [&](const char* key, int64_t number) {
    std::string text = manifest;
    const size_t at = text.find(absl::StrCat("\"", key, "\": "));
    const size_t begin = text.find(' ', at) + 1;
    text.replace(begin, text.find(',', at) - begin, absl::StrCat(number));
    folder.Write("out/manifest.json", text);
    return DatasetStats(spec.output).status();
  };
  EXPECT_THAT(with("sequence_count", int64_t{1} << 40),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("1099511627776 sequences")));
  EXPECT_THAT(with("sequence_count", int64_t{1} << 41),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("sequence_count is too large")));
  EXPECT_THAT(with("sequence_length", 2147483647),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("sequence_length is too large")));
  folder.Write("out/manifest.json", manifest);
  folder.Write("out/documents.jsonl", "");
  EXPECT_THAT(DatasetStats(spec.output).status(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("fill 0")));
}

TEST_F(UnderstandTest, APathThatIsNoneIsAMistakeAndNoCrash) {
  const std::string deep(5000, 'x');  // longer than a path may be
  for (const std::string& path : {std::string(), deep}) {
    EXPECT_FALSE(DatasetStats(path).ok());
    EXPECT_FALSE(CompareDatasets(path, path).ok());
    EXPECT_FALSE(InspectDataset(path, std::nullopt).ok());
    EXPECT_FALSE(VerifyDataset(path, captured.progress()).ok());
    EXPECT_FALSE(ReadCorpusSpec(path).ok());
    EXPECT_FALSE(MapDataset(spec.output, {}, path).ok());
  }
}

// Of two documents once the one comes twice, once the other.
TEST_F(UnderstandTest, CompareCountsCopies) {
  spec.mixture = {{"d0", 3}, {"d1", 1}};
  ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
  const std::string other = folder.At("other");
  std::filesystem::copy(spec.output, other,
                        std::filesystem::copy_options::recursive);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string same,
                            CompareDatasets(spec.output, other));
  EXPECT_THAT(same, HasSubstr("the same, in two orders"));
  auto documents = *ReadDocumentIndex(other + "/documents.jsonl");
  ASSERT_EQ(documents.back().pass, 1);
  const auto is_once = [&](const IndexedDocument& one) {
    return std::count_if(documents.begin(), documents.end(),
                         [&](const IndexedDocument& other_one) {
                           return other_one.id == one.id;
                         }) == 1;
  };
  documents.back().id =
      std::find_if(documents.begin(), documents.end(), is_once)->id;
  std::string lines;
  for (const auto& document : documents) {
    lines += SerializeIndexedDocument(document);
  }
  folder.Write("other/documents.jsonl", lines);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string changed,
                            CompareDatasets(spec.output, other));
  EXPECT_THAT(changed, ::testing::Not(HasSubstr("the same, in two orders")));
}

TEST_F(UnderstandTest, AMissingDatasetIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(DatasetStats(folder.At("no")).status()));
  EXPECT_TRUE(
      absl::IsNotFound(CompareDatasets(spec.output, folder.At("no")).status()));
}

int64_t CountOf(const std::string& text, const std::string& part) {
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST_F(UnderstandTest, TheMapHasAPointADocumentAndALineOfTheWalk) {
  DatasetView view = View();
  LORY_ASSERT_OK_AND_ASSIGN(const std::string svg,
                            DrawMap(view, {.documents = 5000, .walk = 10}));
  const int64_t documents = static_cast<int64_t>(view.documents().size());
  EXPECT_EQ(CountOf(svg, "<title>"), documents);
  EXPECT_EQ(CountOf(svg, "<circle"), documents + 2);  // a legend of two domains
  const size_t line = svg.find("<polyline");
  EXPECT_EQ(CountOf(svg.substr(line, svg.find("/>", line) - line), ","), 10);
  EXPECT_EQ(*DrawMap(view, {.documents = 5000, .walk = 10}), svg);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string few,
                            DrawMap(view, {.documents = 30, .walk = 10}));
  EXPECT_EQ(CountOf(few, "<title>"), 30);
}

TEST_F(UnderstandTest, NamesCannotBreakTheMap) {
  auto documents = *ReadDocumentIndex(spec.output + "/documents.jsonl");
  std::string lines;
  for (IndexedDocument& document : documents) {
    document.name = "</svg><script>&\x01";
    lines += SerializeIndexedDocument(document);
  }
  folder.Write("out/documents.jsonl", lines);
  DatasetView view = View();
  LORY_ASSERT_OK_AND_ASSIGN(const std::string svg, DrawMap(view, {}));
  EXPECT_EQ(CountOf(svg, "</svg>"), 1);
  EXPECT_EQ(CountOf(svg, "<script"), 0);
  EXPECT_EQ(CountOf(svg, "\x01"), 0);
}

TEST(ProjectToPlane, KeepsDistancesOfWhatLiesInAPlane) {
  Random random(1);
  // Two directions at right angles in seven dimensions.
  const std::vector<double> u = {.5, .5, .5, .5, 0, 0, 0};
  const std::vector<double> v = {.5, -.5, .5, -.5, 0, 0, 0};
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 60; ++i) {
    const double a = 5 * random.NextDouble(), b = random.NextDouble();
    std::vector<float>& row = rows.emplace_back();
    for (int j = 0; j < 7; ++j) {
      row.push_back(static_cast<float>(3 + a * u[j] + b * v[j]));
    }
  }
  const auto points =
      ProjectToPlane(60, 7, [&](int64_t i) { return rows[i].data(); });
  for (int i = 1; i < 60; ++i) {
    double squared = 0;
    for (int j = 0; j < 7; ++j) {
      squared += std::pow(rows[i][j] - rows[i - 1][j], 2);
    }
    EXPECT_NEAR(std::hypot(points[i].x - points[i - 1].x,
                           points[i].y - points[i - 1].y),
                std::sqrt(squared), 1e-4);
  }
}

TEST(ProjectToPlane, EqualRowsAreOnePoint) {
  const std::vector<float> row = {1, 2, 3};
  for (const Point& point :
       ProjectToPlane(5, 3, [&](int64_t) { return row.data(); })) {
    EXPECT_EQ(point.x, 0);
    EXPECT_EQ(point.y, 0);
  }
}

}  // namespace
}  // namespace lory::corpus
