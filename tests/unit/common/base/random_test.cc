#include "common/base/random.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory {
namespace {

TEST(Random, OneSeedGivesOneStream) {
  Random a(7), b(7), c(8);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
}

TEST(Random, BelowStaysBelowAndReachesEveryValue) {
  Random random(1);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Below(10));
  EXPECT_EQ(seen.size(), 10);
  EXPECT_LT(*seen.rbegin(), 10);
}

TEST(Random, DoublesLieInTheUnitInterval) {
  Random random(3);
  for (int i = 0; i < 1000; ++i) {
    const double value = random.NextDouble();
    EXPECT_GE(value, 0);
    EXPECT_LT(value, 1);
  }
}

TEST(RandomUuid, IsAVersion4Uuid) {
  EXPECT_THAT(RandomUuid(),
              ::testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                                      "[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_NE(RandomUuid(), RandomUuid());
}

}  // namespace
}  // namespace lory
