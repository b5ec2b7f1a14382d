#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

namespace lory::testing {
namespace {

using ::lory::v1::Job;
using ::testing::HasSubstr;

TEST(Fleet, AJobOfTwoTrainersRunsToItsEnd) {
  Fleet fleet;
  fleet.AddWorker("a");
  fleet.AddWorker("b");
  ASSERT_OK(fleet.Submit("tiny", Fleet::Spec(2, 2)));
  EXPECT_EQ(fleet.Job("tiny").state(), Job::QUEUED);
  ASSERT_TRUE(fleet.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet.Job("tiny").members_size(), 2);
  ASSERT_TRUE(fleet.RunUntilState("tiny", Job::SUCCEEDED))
      << fleet.Job("tiny").ShortDebugString();
  EXPECT_EQ(fleet.Audit("tiny"), "");
  EXPECT_EQ(fleet.CheckInvariants(), "");
  EXPECT_EQ(fleet.Job("tiny").checkpoint_step(), 20);
  EXPECT_EQ(fleet.Job("tiny").recovery_count(), 0);
}

}  // namespace
}  // namespace lory::testing
