#include "tools/corpus/byte_pair_trainer.h"

#include <algorithm>
#include <map>

#include "common/base/random.h"
#include "common/text/byte_pair_tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::corpus {
namespace {

using ::testing::ElementsAre;

WordCounts CountsOf(absl::string_view text) {
  WordCounts counts;
  CountWords(text, &counts);
  return counts;
}

// The definition, word for word: count all pairs anew, join the best.
std::vector<std::pair<int32_t, int32_t>> TrainSlowly(const WordCounts& counts,
                                                     int64_t vocabulary_size) {
  std::vector<std::string> tokens = {""};
  std::map<std::string, int32_t> ids;
  for (const uint8_t byte : text::ByteAlphabet()) {
    ids[std::string(1, static_cast<char>(byte))] =
        static_cast<int32_t>(tokens.size());
    tokens.push_back(std::string(1, static_cast<char>(byte)));
  }
  std::vector<std::pair<std::vector<int32_t>, int64_t>> words;
  for (const auto& [text, count] : counts) {
    std::vector<int32_t> word;
    for (const char c : text) word.push_back(ids[std::string(1, c)]);
    words.emplace_back(word, count);
  }
  std::vector<std::pair<int32_t, int32_t>> merges;
  while (static_cast<int64_t>(tokens.size()) < vocabulary_size) {
    std::map<std::pair<int32_t, int32_t>, int64_t> pairs;
    for (const auto& [word, count] : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        pairs[{word[i], word[i + 1]}] += count;
      }
    }
    // Of equals the first of the map: the smallest ids.
    const auto best = std::max_element(
        pairs.begin(), pairs.end(),
        [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == pairs.end() || best->second < kMinPairCount) break;
    const auto [left, right] = best->first;
    const std::string joined = tokens[left] + tokens[right];
    if (!ids.contains(joined)) {
      ids[joined] = static_cast<int32_t>(tokens.size());
      tokens.push_back(joined);
    }
    merges.emplace_back(left, right);
    for (auto& [word, count] : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] == left && word[i + 1] == right) {
          word[i] = ids[joined];
          word.erase(word.begin() + static_cast<int64_t>(i) + 1);
        }
      }
    }
  }
  return merges;
}

TEST(CountWords, CountsTheWordsThatEncodingSplitsInto) {
  const WordCounts counts = CountsOf("a b a b. a");
  EXPECT_EQ(counts.at("a"), 1);
  EXPECT_EQ(counts.at(" a"), 2);
  EXPECT_EQ(counts.at(" b"), 2);
  EXPECT_EQ(counts.at("."), 1);
}

TEST(TrainBytePairs, JoinsTheMostFrequentPairFirst) {
  // Words of the original paper: low 5, lower 2, newest 6, widest 3.
  const WordCounts counts = {
      {"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}};
  const text::BytePairModel model = TrainBytePairs(counts, 257 + 4);
  std::vector<std::string> learned(model.tokens.begin() + 257,
                                   model.tokens.end());
  EXPECT_THAT(learned, ElementsAre("es", "est", "lo", "low"));
}

TEST(TrainBytePairs, EqualsTheDefinitionOnRandomText) {
  Random random(1);
  for (int i = 0; i < 60; ++i) {
    std::string text;
    const int letters = 2 + static_cast<int>(random.Below(4));
    for (int j = 0; j < 600; ++j) {
      text += random.Below(5) == 0
                  ? ' '
                  : static_cast<char>('a' + random.Below(letters));
    }
    const WordCounts counts = CountsOf(text);
    EXPECT_EQ(TrainBytePairs(counts, 257 + 50).merges,
              TrainSlowly(counts, 257 + 50))
        << text;
  }
}

TEST(TrainBytePairs, StopsWhenNoPairComesTwice) {
  const text::BytePairModel model = TrainBytePairs(CountsOf("abc"), 1000);
  EXPECT_EQ(model.tokens.size(), 257u);
  EXPECT_TRUE(model.merges.empty());
}

TEST(TrainBytePairs, AModelOfNothingStillEncodesBytes) {
  const text::BytePairTokenizer tokenizer(TrainBytePairs({}, 300));
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("any \xff text")),
            "any \xff text");
}

TEST(TrainBytePairs, FrequentWordsBecomeOneToken) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += " hello world";
  const text::BytePairTokenizer tokenizer(
      TrainBytePairs(CountsOf(text), 257 + 30));
  EXPECT_EQ(tokenizer.Encode(" hello world").size(), 2u);
  EXPECT_EQ(tokenizer.end_of_document_id(), 0);
}

}  // namespace
}  // namespace lory::corpus
