#include "tools/corpus/across_split.h"

#include <atomic>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/corpus/hashed_rows.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/shingle_index.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

using ::testing::IsEmpty;

// Sets of few shingles, so that many overlap a little and some much.
std::vector<std::vector<uint64_t>> RandomSets(Random& random, int count) {
  std::vector<std::vector<uint64_t>> sets;
  for (int i = 0; i < count; ++i) {
    std::set<uint64_t> set;
    const uint64_t size = random.Below(12);
    // Some begin with other bits than others.
    for (uint64_t j = 0; j < size; ++j) {
      set.insert(Mix64(random.Below(20)) >> (random.Below(2) * 60));
    }
    sets.emplace_back(set.begin(), set.end());
  }
  return sets;
}

ShingleSets Gathered(const std::vector<std::vector<uint64_t>>& sets) {
  ShingleSets gathered;
  for (const auto& set : sets) gathered.Add(set);
  return gathered;
}

TEST(ShingleIndex, FindsTheFirstThatOverlapsEnough) {
  Random random(5);
  int found = 0;
  for (int round = 0; round < 300; ++round) {
    const double overlap = 0.05 + 0.05 * static_cast<double>(random.Below(20));
    const auto sets = RandomSets(random, 30);
    const ShingleIndex index(Gathered(sets), overlap);
    ShingleIndex::Lookup lookup(index);
    for (const auto& query : RandomSets(random, 30)) {
      // Two empty sets are equal, but texts without words are no copies.
      int32_t first = 0;
      while (first < 30 &&
             (query.empty() || Overlap(query, sets[first]) < overlap)) {
        ++first;
      }
      const ShingleIndex::Match match = lookup.First(query);
      EXPECT_EQ(match.set, first < 30 ? first : -1) << overlap;
      if (match.set < 0) continue;
      EXPECT_EQ(match.overlap, Overlap(query, sets[first]));
      ++found;
    }
  }
  EXPECT_GT(found, 1000);
}

// One text many times over, with a word changed here and there: the first that
// is met decides, not all of them.
TEST(ShingleIndex, ComparesFewOfManyThatAreAlike) {
  Random random(7);
  const auto changed = [&] {
    const uint64_t at = random.Below(200);
    std::string text;
    for (uint64_t i = 0; i < 200; ++i) {
      absl::StrAppend(&text, i == at ? random.Below(1000) : i, " ");
    }
    return ShinglesOf(text);
  };
  std::vector<std::vector<uint64_t>> sets;
  for (int i = 0; i < 1000; ++i) sets.push_back(changed());
  const ShingleIndex index(Gathered(sets), 0.5);
  ShingleIndex::Lookup lookup(index);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(lookup.First(changed()).set, 0);
  EXPECT_LT(lookup.compared(), 100 * 20);
}

// Of texts with the same words in another order, and so the same vector.
TEST(ShingleIndex, ComparesLittleOfWhatOnlyTheVectorsAgreeOn) {
  Random random(6);
  std::vector<std::string> words;
  for (int i = 0; i < 300; ++i) words.push_back(absl::StrCat("word", i));
  const auto shuffled = [&] {
    for (size_t i = words.size() - 1; i > 0; --i) {
      std::swap(words[i], words[random.Below(i + 1)]);
    }
    std::string text;
    for (const std::string& word : words) absl::StrAppend(&text, word, " ");
    return ShinglesOf(text);
  };
  std::vector<std::vector<uint64_t>> sets;
  for (int i = 0; i < 200; ++i) sets.push_back(shuffled());
  const ShingleIndex index(Gathered(sets), 0.5);
  ShingleIndex::Lookup lookup(index);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(lookup.First(shuffled()).set, -1);
  EXPECT_LT(lookup.compared(), 10);
  EXPECT_EQ(lookup.First(sets[7]).set, 7);
}

// Of texts of ten words each pair shares some runs of five, but never enough.
TEST(ShingleIndex, AsksForFewOfManyThatShareALittle) {
  constexpr int kCount = 1500;
  Random random(8);
  std::vector<std::vector<uint64_t>> sets;
  for (int i = 0; i < kCount; ++i) {
    std::string text;
    for (uint64_t j = 250 + random.Below(250); j > 0; --j) {
      absl::StrAppend(&text, "word", random.Below(10), " ");
    }
    sets.push_back(ShinglesOf(text));
  }
  for (const double overlap : {0.3, 0.5, 0.8}) {
    const ShingleIndex index(Gathered(sets), overlap);
    ShingleIndex::Lookup lookup(index);
    int64_t asked = 0;
    for (int32_t i = 0; i < kCount; ++i) {
      const auto match = lookup.First(sets[i], i, [&](int32_t) {
        ++asked;
        return true;
      });
      EXPECT_EQ(match.set, -1);
    }
    EXPECT_LT(asked, kCount) << overlap;
    EXPECT_EQ(lookup.First(sets[kCount - 1]).set, kCount - 1);
  }
}

TEST(AcrossSplit, ReadsNothingWhereNothingIsHeldOut) {
  std::atomic<int64_t> done = 0;
  const NearSide train = {0, 1};
  const NearSide none;
  const Across across = {.train = train,
                         .held_out = none,
                         .on_progress = [&](int64_t n) { done += n; }};
  EXPECT_THAT(FindCopiesAcross(across, 0.5, 1 << 20,
                               [](int32_t) {
                                 ADD_FAILURE() << "a text was read";
                                 return absl::string_view();
                               }),
              IsEmpty());
  EXPECT_EQ(done, 2);
  EXPECT_THAT(FindSimilarAcross(across, 0.5, std::vector<float>{1, 0, 1, 0}, 2),
              IsEmpty());
  EXPECT_EQ(done, 4);
}

// 23 texts, each some five times with up to three words changed.
std::vector<std::string> ChangedTexts(Random& random) {
  std::vector<std::string> texts;
  for (int i = 0; i < 120; ++i) {
    std::vector<std::string> words;
    for (int j = 0; j < 40; ++j) {
      words.push_back(absl::StrCat("w", i % 23, "x", j));
    }
    for (uint64_t j = random.Below(4); j > 0; --j) {
      words[random.Below(40)] = absl::StrCat("changed", i, "x", j);
    }
    texts.push_back(absl::StrJoin(words, " "));
  }
  return texts;
}

// Of any length from none on, of so few words that most share something.
std::vector<std::string> ShortTexts(Random& random) {
  std::vector<std::string> texts;
  for (int i = 0; i < 80; ++i) {
    std::string& text = texts.emplace_back(i % 9 == 0 ? "!" : "");
    for (uint64_t j = random.Below(14); j > 0; --j) {
      absl::StrAppend(&text, " word", random.Below(2));
    }
  }
  return texts;
}

// All pairs of both sides by their shingles, the first for each.
std::vector<std::pair<int32_t, int32_t>> NaiveCopies(
    const std::vector<std::string>& texts, const NearSide& train,
    const NearSide& held_out, double overlap) {
  std::vector<std::pair<int32_t, int32_t>> copies;
  for (const int32_t from : train) {
    const auto shingles = ShinglesOf(texts[from]);
    for (const int32_t to : held_out) {
      if (shingles.empty()) break;
      if (Overlap(shingles, ShinglesOf(texts[to])) < overlap) continue;
      copies.emplace_back(from, to);
      break;
    }
  }
  return copies;
}

TEST(AcrossSplit, CopiesAreThoseOfTheNaiveDoubleLoopWhateverTheMemory) {
  Random random(7);
  size_t found_in_all = 0;
  for (int round = 0; round < 40; ++round) {
    const auto texts =
        round % 2 == 0 ? ChangedTexts(random) : ShortTexts(random);
    const auto text_of = [&](int32_t i) { return absl::string_view(texts[i]); };
    NearSide train, held_out;
    for (int32_t i = 0; i < static_cast<int32_t>(texts.size()); ++i) {
      (random.Below(4) == 0 ? held_out : train).push_back(i);
    }
    for (const double overlap : {0.1, 0.2, 0.5, 0.8, 1.0}) {
      const auto expected = NaiveCopies(texts, train, held_out, overlap);
      found_in_all += expected.size();
      // All at once, a few held-out documents at a time, one at a time.
      for (const int64_t memory :
           {int64_t{1} << 30, int64_t{3000}, int64_t{1}}) {
        std::atomic<int64_t> done = 0;
        const auto found =
            FindCopiesAcross({.train = train,
                              .held_out = held_out,
                              .on_progress = [&](int64_t n) { done += n; }},
                             overlap, memory, text_of);
        EXPECT_EQ(done, static_cast<int64_t>(train.size()));
        std::vector<std::pair<int32_t, int32_t>> given;
        for (const NearPair& pair : found) {
          given.emplace_back(pair.dropped, pair.kept);
          EXPECT_EQ(pair.overlap, Overlap(ShinglesOf(texts[pair.dropped]),
                                          ShinglesOf(texts[pair.kept])));
        }
        EXPECT_EQ(given, expected) << overlap << " in " << memory;
      }
    }
  }
  EXPECT_GT(found_in_all, 1000u);
}

TEST(AcrossSplit, SimilarOnesAreThoseOfTheNaiveDoubleLoop) {
  Random random(7);
  const auto texts = ChangedTexts(random);
  constexpr int32_t kDimensions = 64;
  const std::vector<float> rows = HashedRows(texts, kDimensions);
  NearSide train, held_out;
  for (int32_t i = 0; i < 120; ++i) {
    (i % 4 == 0 ? held_out : train).push_back(i);
  }
  std::atomic<int64_t> done = 0;
  const auto found =
      FindSimilarAcross({.train = train,
                         .held_out = held_out,
                         .on_progress = [&](int64_t n) { done += n; }},
                        0.8, rows, kDimensions);
  EXPECT_EQ(done, 90);
  std::vector<std::pair<int32_t, int32_t>> expected, given;
  for (const int32_t from : train) {
    std::pair<double, int32_t> best = {1, -1};
    for (const int32_t to : held_out) {
      const double cosine =
          Similarity(rows.data() + from * kDimensions,
                     rows.data() + to * kDimensions, kDimensions);
      if (cosine >= 0.8) best = std::min(best, {-cosine, to});
    }
    if (best.second >= 0) expected.emplace_back(from, best.second);
  }
  for (const NearPair& pair : found) {
    given.emplace_back(pair.dropped, pair.kept);
  }
  EXPECT_EQ(given, expected);
  EXPECT_GT(expected.size(), 0u);
}

}  // namespace
}  // namespace lory::corpus
