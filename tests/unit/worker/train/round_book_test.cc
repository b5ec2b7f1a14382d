#include "worker/train/round_book.h"

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace lory::train {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

lory::v1::Round MakeRound(int64_t id, int64_t first, int64_t count,
                          std::vector<int> shares = {2, 2}) {
  lory::v1::Round round;
  round.set_id(id);
  round.set_first_step(first);
  round.set_step_count(count);
  for (const int share : shares) round.add_shares(share);
  return round;
}

struct RoundBookTest : ::testing::Test {
  absl::Status Advance(int64_t step, int64_t common) {
    return book.Advance(step, common, &began);
  }
  RoundBook book{2, 4};
  bool began = false;
};

TEST_F(RoundBookTest, ARoundWaitsUntilAllHoldIt) {
  book.Hold(MakeRound(1, 0, 8));
  ASSERT_OK(Advance(0, 0));
  EXPECT_FALSE(began);
  EXPECT_TRUE(book.holds_next());
  ASSERT_OK(Advance(0, 1));
  EXPECT_TRUE(began);
  EXPECT_EQ(book.current()->id(), 1);
  EXPECT_FALSE(book.holds_next());
}

TEST_F(RoundBookTest, TheNextRoundBeginsWhereTheOneBeforeEnds) {
  book.Hold(MakeRound(1, 0, 2));
  ASSERT_OK(Advance(0, 1));
  book.Hold(MakeRound(2, 2, 2));
  EXPECT_EQ(book.newest_held(), 2);
  ASSERT_OK(Advance(1, 2));
  EXPECT_FALSE(began);
  ASSERT_OK(Advance(2, 2));
  EXPECT_TRUE(began);
  EXPECT_EQ(book.current()->id(), 2);
}

TEST_F(RoundBookTest, WithoutANextRoundNoneIsCurrent) {
  book.Hold(MakeRound(1, 0, 2));
  ASSERT_OK(Advance(0, 1));
  ASSERT_OK(Advance(2, 1));
  EXPECT_EQ(book.current(), nullptr);
  EXPECT_EQ(book.newest_held(), 1);
  book.Hold(MakeRound(1, 0, 2));  // repeated by the coordinator
  EXPECT_FALSE(book.holds_next());
}

TEST_F(RoundBookTest, ARoundThatDoesNotFitIsRefused) {
  const lory::v1::Round bad[] = {MakeRound(1, 5, 8), MakeRound(1, 0, 0),
                                 MakeRound(1, 0, 8, {4}),
                                 MakeRound(1, 0, 8, {2, 1})};
  for (const lory::v1::Round& round : bad) {
    RoundBook fresh(2, 4);
    fresh.Hold(round);
    EXPECT_THAT(fresh.Advance(0, 1, &began),
                StatusIs(absl::StatusCode::kInternal,
                         HasSubstr("does not fit step 0, 2 ranks and 4")));
  }
}

TEST_F(RoundBookTest, ASkippedRoundIsFoundOut) {
  book.Hold(MakeRound(1, 0, 2));
  ASSERT_OK(Advance(0, 1));
  book.Hold(MakeRound(3, 4, 2));
  EXPECT_EQ(book.newest_held(), 1);
  EXPECT_THAT(Advance(2, 3), StatusIs(absl::StatusCode::kInternal,
                                      HasSubstr("round 2 never came")));
}

}  // namespace
}  // namespace lory::train
