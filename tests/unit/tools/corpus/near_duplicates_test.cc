#include "tools/corpus/near_duplicates.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
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
        .overlap = [this](int32_t, int32_t) { return overlap; },
        .text_of = [](int32_t) { return ""; }};
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

std::vector<int32_t> DroppedBy(const Table& table, const NearLimits& options,
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

// Documents in groups of near copies: all of one text, or each of the one
// before. Similar are those of one group, by how many words they share.
struct Groups {
  static constexpr int kWords = 40;

  Groups(Random& random, int count, bool in_chains) {
    std::vector<std::vector<int>> first_of;
    for (int i = 0; i < count; ++i) {
      if (i == 0 || random.Below(30) == 0) {
        first_of.emplace_back(kWords);
        for (int& word : first_of.back()) word = NewWord();
      }
      const auto group = static_cast<int>(random.Below(first_of.size()));
      std::vector<int> words = first_of[group];
      for (int j = 0; j < 2; ++j) words[random.Below(kWords)] = NewWord();
      if (in_chains) first_of[group] = words;
      documents.push_back(words);
      texts.push_back(absl::StrJoin(words, " "));
    }
  }
  int NewWord() { return ++words_made; }

  double Similarity(int32_t a, int32_t b) const {
    int same = 0;
    for (int i = 0; i < kWords; ++i) same += documents[a][i] == documents[b][i];
    return static_cast<double>(same) / kWords;
  }
  NearTest test() const {
    return {
        .similarity = [this](int32_t a, int32_t b) { return Similarity(a, b); },
        .overlap =
            [this](int32_t a, int32_t b) {
              return Overlap(ShinglesOf(texts[a]), ShinglesOf(texts[b]));
            },
        .text_of = [this](int32_t a) { return absl::string_view(texts[a]); }};
  }
  std::vector<Neighbor> NearestOf(int32_t k) const {
    std::vector<Neighbor> lists;
    const auto count = static_cast<int32_t>(texts.size());
    for (int32_t i = 0; i < count; ++i) {
      std::vector<Neighbor> others;
      for (int32_t j = 0; j < count; ++j) {
        if (j != i) others.push_back({j, static_cast<float>(Similarity(i, j))});
      }
      std::stable_sort(others.begin(), others.end(),
                       [](const Neighbor& a, const Neighbor& b) {
                         return a.similarity > b.similarity;
                       });
      lists.insert(lists.end(), others.begin(), others.begin() + k);
    }
    return lists;
  }

  int words_made = 0;
  std::vector<std::vector<int>> documents;
  std::vector<std::string> texts;
};

// Groups are larger than lists, and than what the index has room for.
TEST(FindNearDuplicates, NoTwoStayThatAreCopiesHoweverManyThereAre) {
  constexpr int kCount = 150;
  Random random(5);
  for (const int32_t k : {1, 3, 10}) {
    for (const double overlap : {0.0, 0.5}) {
      for (const bool in_chains : {false, true}) {
        const Groups groups(random, kCount, in_chains);
        std::vector<uint8_t> gone(kCount);
        for (int i = 0; i < 10; ++i) gone[random.Below(kCount)] = 1;
        const NearTest test = groups.test();
        NearLimits limits = {.similarity = .8, .overlap = overlap};
        const auto pairs = FindNearDuplicates(groups.NearestOf(k), k, gone,
                                              limits, groups.test());
        std::vector<uint8_t> away = gone;
        for (const NearPair& pair : pairs) {
          ASSERT_FALSE(away[pair.dropped]);
          away[pair.dropped] = 1;
        }
        EXPECT_GT(pairs.size(), kCount / 10);
        const auto are_near = [&](int32_t a, int32_t b) {
          return test.similarity(a, b) >= limits.similarity &&
                 test.overlap(a, b) >= overlap;
        };
        for (const NearPair& pair : pairs) {
          EXPECT_FALSE(away[pair.kept]);
          EXPECT_LT(pair.kept, pair.dropped);
          EXPECT_TRUE(are_near(pair.kept, pair.dropped));
        }
        int together = 0;
        for (int i = 0; i < kCount; ++i) {
          for (int j = 0; j < i; ++j) {
            together += !away[i] && !away[j] && are_near(i, j);
          }
        }
        EXPECT_EQ(together, 0) << k << " " << overlap << " " << in_chains;
        for (const int64_t index_bytes : {1, 20'000}) {
          limits.index_bytes = index_bytes;
          const auto in_parts = FindNearDuplicates(groups.NearestOf(k), k, gone,
                                                   limits, groups.test());
          ASSERT_EQ(in_parts.size(), pairs.size());
          for (size_t i = 0; i < pairs.size(); ++i) {
            EXPECT_EQ(in_parts[i].dropped, pairs[i].dropped);
            EXPECT_EQ(in_parts[i].kept, pairs[i].kept);
          }
        }
      }
    }
  }
}

TEST(Shingles, OfEqualTextsAreEqualWhateverStandsBetweenTheWords) {
  EXPECT_EQ(Overlap(ShinglesOf("The quick brown fox jumps over it"),
                    ShinglesOf("the, quick (brown) FOX\njumps over it!")),
            1);
  EXPECT_EQ(Overlap(ShinglesOf("one two"), ShinglesOf("one two")), 1);
  EXPECT_EQ(Overlap(ShinglesOf(""), ShinglesOf("!")), 0);
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
        all.empty() ? 0 : shared / static_cast<double>(all.size());
    EXPECT_DOUBLE_EQ(Overlap(ShinglesOf(text(a)), ShinglesOf(text(b))),
                     expected);
  }
}

}  // namespace
}  // namespace lory::corpus
