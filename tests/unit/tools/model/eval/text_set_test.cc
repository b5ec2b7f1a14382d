#include "tools/model/eval/text_set.h"

#include <algorithm>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/model/eval/eval_data.h"

namespace lory::eval {
namespace {

using ::lory::testing::TemporaryFolder;
using ::testing::Each;

TEST(SlidingWindows, CountEveryTokenOnceWithAllTheTextBeforeThatFits) {
  for (const int64_t size : {2, 3, 7, 8, 9, 20, 33}) {
    for (const int64_t window : {1, 4, 8}) {
      for (int64_t stride = 1; stride <= window; ++stride) {
        std::vector<int64_t> tokens(size);
        std::iota(tokens.begin(), tokens.end(), 100);
        const TextSet set = SlidingWindows("x", tokens, window, stride, 0);
        std::vector<int> counted(size);
        for (int64_t i = 0; i < set.window_count; ++i) {
          Window read;
          ASSERT_OK(set.read(i, read));
          ASSERT_EQ(read.tokens.size(), read.targets.size());
          ASSERT_LE(static_cast<int64_t>(read.tokens.size()), window);
          EXPECT_EQ(read.tokens[0], 100 + i * stride);
          for (size_t at = 0; at < read.tokens.size(); ++at) {
            EXPECT_EQ(read.tokens[at], read.tokens[0] + static_cast<int>(at));
            if (read.targets[at] < 0) continue;
            EXPECT_EQ(read.targets[at], read.tokens[at] + 1);
            ++counted[read.targets[at] - 100];
            // No less context than a later window would leave it.
            EXPECT_GE(static_cast<int64_t>(at),
                      std::min(window - stride, read.targets[at] - 101));
          }
        }
        EXPECT_EQ(counted[0], 0);
        counted.erase(counted.begin());
        EXPECT_THAT(counted, Each(1)) << size << " " << window << " " << stride;
      }
    }
  }
}

TEST(SlidingWindows, CanBeLimited) {
  EXPECT_EQ(
      SlidingWindows("x", std::vector<int64_t>(100), 10, 10, 3).window_count,
      3);
}

TEST(HeldOutSets, AreTheDatasetsSequences) {
  const TemporaryFolder folder;
  WriteByteDataset(folder);
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto dataset,
      lory::data::Dataset::Open(folder.At("data/manifest.json"), true));
  const std::vector<TextSet> sets = HeldOutSets(*dataset, 4);
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0].name, "seen");
  EXPECT_FALSE(sets[0].kept_out);
  EXPECT_EQ(sets[0].window_count, 4);
  EXPECT_TRUE(sets[1].kept_out);
  EXPECT_EQ(sets[1].window_count, 3);
  EXPECT_EQ(sets[1].window, lory::model::kLength);
  std::vector<int64_t> expected(lory::model::kLength + 1);
  ASSERT_OK(dataset->ReadHeldOut(1, 2, expected));
  Window window;
  ASSERT_OK(sets[1].read(2, window));
  EXPECT_EQ(window.targets,
            std::vector<int64_t>(expected.begin() + 1, expected.end()));
  expected.pop_back();
  EXPECT_EQ(window.tokens, expected);
}

}  // namespace
}  // namespace lory::eval
