#include "tools/corpus/best_lists.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace lory::corpus {
namespace {

// Of many that are nearly as similar as the last one listed, so that there is
// never room for all who may be among the best.
TEST(BestLists, AreThoseOfASortWhateverTheOrderOfOffers) {
  constexpr float kError = 1e-3f;
  Random random(11);
  for (int round = 0; round < 3000; ++round) {
    const auto k = static_cast<int32_t>(1 + random.Below(12));
    const auto count = static_cast<int32_t>(k + random.Below(90));
    std::vector<float> similarities;
    std::vector<int32_t> order;
    std::vector<Neighbor> expected;
    for (int32_t i = 0; i < count; ++i) {
      // Most cannot be told from each other; some are surely worse.
      const bool is_worse = random.Below(12) == 0;
      const int steps = static_cast<int>(random.Below(6)) - is_worse * 30;
      similarities.push_back(static_cast<float>(steps) * kError / 4);
      expected.push_back({i, similarities.back()});
      order.push_back(i);
    }
    std::sort(expected.begin(), expected.end(),
              [](const Neighbor& a, const Neighbor& b) {
                return std::pair(-a.similarity, a.document) <
                       std::pair(-b.similarity, b.document);
              });
    expected.resize(k);
    BestLists lists(k, {kError}, [&](int64_t, std::span<Neighbor> others) {
      for (Neighbor& other : others) {
        other.similarity = similarities[other.document];
      }
    });
    for (size_t i = order.size() - 1; i > 0; --i) {
      std::swap(order[i], order[random.Below(i + 1)]);
    }
    for (const int32_t other : order) {
      const auto off = static_cast<float>(2 * random.NextDouble() - 1);
      lists.Offer(0, other, similarities[other] + 0.99f * kError * off);
    }
    std::vector<Neighbor> given(k);
    lists.Take(0, given);
    ASSERT_EQ(given, expected) << "round " << round;
  }
}

}  // namespace
}  // namespace lory::corpus
