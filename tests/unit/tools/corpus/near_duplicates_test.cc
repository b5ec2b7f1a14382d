#include "tools/corpus/near_duplicates.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>

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

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Similarity from a table, every overlap the same.
struct Table {
  std::vector<std::vector<double>> similarity;
  double overlap = 1;

  NearTest test() const {
    return {
        .similarity = [this](int32_t a, int32_t b) { return similarity[a][b]; },
        .overlap = [this](int32_t, int32_t) { return overlap; }};
  }
  // All others, in no order that matters.
  std::vector<Neighbor> neighbors() const {
    std::vector<Neighbor> all;
    for (size_t i = 0; i < similarity.size(); ++i) {
      for (size_t j = 0; j < similarity.size(); ++j) {
        if (i == j) continue;
        all.push_back(
            {static_cast<int32_t>(j), static_cast<float>(similarity[i][j])});
      }
    }
    return all;
  }
};

std::vector<int32_t> DroppedOf(const std::vector<NearPair>& pairs) {
  std::vector<int32_t> dropped;
  for (const NearPair& pair : pairs) dropped.push_back(pair.dropped);
  return dropped;
}

std::vector<int32_t> DroppedBy(const Table& table,
                               const NearDuplicateOptions& options,
                               const std::vector<uint8_t>& gone) {
  const int32_t k = static_cast<int32_t>(table.similarity.size()) - 1;
  return DroppedOf(
      FindNearDuplicates(table.neighbors(), k, gone, options, table.test()));
}

TEST(FindNearDuplicates, KeepsTheFirstOfEveryGroup) {
  // 0 ~ 1 ~ 2 in a chain, 3 alone. 1 goes for 0; 2 is like 1 only, and stays.
  const Table table = {
      {{1, .99, .1, 0}, {.99, 1, .97, 0}, {.1, .97, 1, 0}, {0, 0, 0, 1}}};
  const std::vector<uint8_t> none(4);
  EXPECT_THAT(DroppedBy(table, {.similarity = .95}, none), ElementsAre(1));
  EXPECT_THAT(DroppedBy(table, {.similarity = .98}, none), ElementsAre(1));
  EXPECT_THAT(DroppedBy(table, {.similarity = .999}, none), IsEmpty());
  EXPECT_THAT(DroppedBy(table, {.similarity = 1}, none), IsEmpty());
}

TEST(FindNearDuplicates, WhatIsGoneNeitherGoesNorIsAReason) {
  const Table table = {{{1, .99, .99}, {.99, 1, .99}, {.99, .99, 1}}};
  EXPECT_THAT(DroppedBy(table, {.similarity = .9}, {1, 0, 0}), ElementsAre(2));
  EXPECT_THAT(DroppedBy(table, {.similarity = .9}, {0, 1, 1}), IsEmpty());
}

TEST(FindNearDuplicates, ShinglesMustConfirm) {
  Table table = {{{1, .99}, {.99, 1}}};
  table.overlap = .4;
  const std::vector<uint8_t> none(2);
  EXPECT_THAT(DroppedBy(table, {.similarity = .9, .overlap = .5}, none),
              IsEmpty());
  EXPECT_THAT(DroppedBy(table, {.similarity = .9, .overlap = .4}, none),
              ElementsAre(1));
}

// With all pairs proposed: nothing that goes lacks a reason, and the reason
// stays; nothing that stays is a copy of an earlier one that stays.
TEST(FindNearDuplicates, HoldsItsPromisesOnRandomTables) {
  Random random(8);
  for (int round = 0; round < 1000; ++round) {
    const int count = 2 + static_cast<int>(random.Below(12));
    Table table;
    table.similarity.assign(count, std::vector<double>(count, 1));
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j < i; ++j) {
        table.similarity[i][j] = table.similarity[j][i] =
            static_cast<double>(random.Below(100)) / 100;
      }
    }
    const std::vector<NearPair> pairs = FindNearDuplicates(
        table.neighbors(), count - 1, std::vector<uint8_t>(count),
        {.similarity = .7}, table.test());
    const std::vector<int32_t> dropped = DroppedOf(pairs);
    const std::set<int32_t> gone(dropped.begin(), dropped.end());
    ASSERT_EQ(gone.size(), dropped.size());
    for (const NearPair& pair : pairs) {
      EXPECT_FALSE(gone.contains(pair.kept));
      EXPECT_LT(pair.kept, pair.dropped);
      EXPECT_GE(table.similarity[pair.dropped][pair.kept], .7);
    }
    EXPECT_FALSE(gone.contains(0));
  }
}

TEST(Shingles, OfEqualTextsAreEqualWhateverStandsBetweenTheWords) {
  EXPECT_EQ(Overlap(ShinglesOf("The quick brown fox jumps over it"),
                    ShinglesOf("the, quick (brown) FOX\njumps over it!")),
            1);
  EXPECT_EQ(Overlap(ShinglesOf("one two"), ShinglesOf("one two")), 1);
  EXPECT_EQ(Overlap(ShinglesOf(""), ShinglesOf("!")), 1);
  EXPECT_EQ(Overlap(ShinglesOf("one two"), ShinglesOf("")), 0);
  EXPECT_EQ(Overlap(ShinglesOf("one two"), ShinglesOf("two one")), 0);
}

TEST(Shingles, OverlapIsThatOfSetsOfFiveWords) {
  Random random(2);
  for (int round = 0; round < 500; ++round) {
    const auto words = [&random] {
      std::vector<std::string> out(random.Below(30));
      for (auto& word : out) word = absl::StrCat("w", random.Below(3));
      return out;
    };
    const auto shingles = [](const std::vector<std::string>& words) {
      std::set<std::vector<std::string>> out;
      const size_t length = std::min<size_t>(5, words.size());
      for (size_t i = 0; length > 0 && i + length <= words.size(); ++i) {
        out.emplace(words.begin() + i, words.begin() + i + length);
      }
      return out;
    };
    const auto text = [](const std::vector<std::string>& words) {
      std::string out;
      for (const auto& word : words) absl::StrAppend(&out, word, " ");
      return out;
    };
    const auto a = words(), b = words();
    const auto in_a = shingles(a), in_b = shingles(b);
    std::set<std::vector<std::string>> all = in_a;
    all.insert(in_b.begin(), in_b.end());
    const double shared =
        static_cast<double>(in_a.size() + in_b.size() - all.size());
    const double expected =
        all.empty() ? 1 : shared / static_cast<double>(all.size());
    EXPECT_DOUBLE_EQ(Overlap(ShinglesOf(text(a)), ShinglesOf(text(b))),
                     expected);
  }
}

// Sets of few shingles, so that many overlap a little and some much.
std::vector<std::vector<uint64_t>> RandomSets(Random& random, int count) {
  std::vector<std::vector<uint64_t>> sets;
  for (int i = 0; i < count; ++i) {
    std::set<uint64_t> set;
    const uint64_t size = random.Below(12);
    for (uint64_t j = 0; j < size; ++j) set.insert(random.Below(20));
    sets.emplace_back(set.begin(), set.end());
  }
  return sets;
}

TEST(ShingleIndex, ListsAllThatOverlapEnough) {
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    const double overlap = 0.05 + 0.05 * static_cast<double>(random.Below(20));
    const auto sets = RandomSets(random, 30);
    const ShingleIndex index(sets, overlap);
    for (const auto& query : RandomSets(random, 30)) {
      const auto candidates = index.CandidatesFor(query);
      const std::set<int32_t> listed(candidates.begin(), candidates.end());
      EXPECT_EQ(listed.size(), candidates.size());
      for (int32_t i = 0; i < 30; ++i) {
        // Two empty sets are equal, but documents without words have no vector.
        if (query.empty() || Overlap(query, sets[i]) < overlap) continue;
        EXPECT_TRUE(listed.contains(i)) << overlap;
      }
    }
  }
}

// Of texts with the same words in another order, and so the same vector.
TEST(ShingleIndex, ListsNothingOfWhatOnlyTheVectorsAgreeOn) {
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
  const ShingleIndex index(sets, 0.5);
  size_t looked_at = 0;
  for (int i = 0; i < 200; ++i) {
    looked_at += index.CandidatesFor(shuffled()).size();
  }
  EXPECT_LT(looked_at, 10u);
  EXPECT_THAT(index.CandidatesFor(sets[7]), ElementsAre(7));
}

TEST(FindAcross, ReadsNothingWhereNothingIsHeldOut) {
  const std::vector<float> rows = {1, 0, 1, 0};
  std::atomic<int64_t> done = 0;
  EXPECT_THAT(FindAcross(
                  {0, 1}, {}, rows, 2, {},
                  [](int32_t) {
                    ADD_FAILURE() << "a text was read";
                    return absl::string_view();
                  },
                  [&](int64_t n) { done += n; }),
              IsEmpty());
  EXPECT_EQ(done, 2);
}

TEST(FindAcross, EqualsTheNaiveDoubleLoop) {
  Random random(7);
  for (const double overlap : {0.0, 0.2, 0.5}) {
    // 23 texts, each some five times with up to three words changed.
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
    const auto text_of = [&](int32_t i) { return absl::string_view(texts[i]); };
    constexpr int32_t kDimensions = 64;
    const std::vector<float> rows = HashedRows(texts, kDimensions);
    NearSide train, held_out;
    for (int32_t i = 0; i < 120; ++i) {
      (i % 4 == 0 ? held_out : train).push_back(i);
    }
    const NearDuplicateOptions options = {.similarity = 0.8,
                                          .overlap = overlap};
    std::atomic<int64_t> done = 0;
    const auto found = FindAcross(train, held_out, rows, kDimensions, options,
                                  text_of, [&](int64_t n) { done += n; });
    EXPECT_EQ(done, 90);
    std::vector<std::pair<int32_t, int32_t>> expected, given;
    for (const int32_t from : train) {
      std::pair<double, int32_t> best = {1, -1};
      for (const int32_t to : held_out) {
        const double cosine =
            Similarity(rows.data() + from * kDimensions,
                       rows.data() + to * kDimensions, kDimensions);
        if (cosine >= options.similarity &&
            Overlap(ShinglesOf(texts[from]), ShinglesOf(texts[to])) >=
                overlap) {
          best = std::min(best, {-cosine, to});
        }
      }
      if (best.second >= 0) expected.emplace_back(from, best.second);
    }
    for (const NearPair& pair : found) {
      given.emplace_back(pair.dropped, pair.kept);
    }
    EXPECT_EQ(given, expected) << overlap;
    EXPECT_GT(expected.size(), 0u);
    // A few held-out documents at a time.
    NearDuplicateOptions in_parts = options;
    in_parts.part_bytes = 1000;
    done = 0;
    const auto again = FindAcross(train, held_out, rows, kDimensions, in_parts,
                                  text_of, [&](int64_t n) { done += n; });
    EXPECT_EQ(done, 90);
    ASSERT_EQ(again.size(), found.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(again[i].dropped, found[i].dropped);
      EXPECT_EQ(again[i].kept, found[i].kept);
      EXPECT_EQ(again[i].overlap, found[i].overlap);
    }
  }
}

}  // namespace
}  // namespace lory::corpus
