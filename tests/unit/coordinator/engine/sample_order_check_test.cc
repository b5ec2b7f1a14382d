#include "coordinator/engine/sample_order_check.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/data/sample_digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// The coordinator's own look at the samples of a job.
namespace lory::coordinator {
namespace {

using ::lory::testing::Fleet;
using ::lory::v1::Job;

constexpr int64_t kSequences = 50;
constexpr int64_t kBatch = 8;
constexpr uint64_t kSeed = 7;

std::string Chain(int64_t steps) {
  std::string chain = data::InitialDigest();
  for (int64_t step = 0; step < steps; ++step) {
    chain = data::NextDigest(
        chain, step,
        data::ExpectedFingerprintSum(kSeed, kSequences, step, kBatch));
  }
  return chain;
}

struct SampleOrderCheckTest : ::testing::Test {
  void Compare(int64_t step, std::string digest) {
    check.Take({step, std::move(digest)});
    while (check.Work(1'000'000) > 0) {
    }
  }

  SampleOrderCheck check{kSeed, kSequences, kBatch};
};

TEST_F(SampleOrderCheckTest, OneEqualLinkProvesAllStepsBeforeIt) {
  Compare(20, Chain(20));
  EXPECT_EQ(check.verified_step(), 20);
  Compare(21, Chain(21));
  EXPECT_EQ(check.verified_step(), 21);
  EXPECT_EQ(check.mismatch_count(), 0);
}

TEST_F(SampleOrderCheckTest, WhatIsLostOrRepeatedShowsFromThereOn) {
  Compare(5, Chain(5));
  // Step 5 left one sequence out; all links after it are others.
  const uint64_t sum =
      data::ExpectedFingerprintSum(kSeed, kSequences, 5, kBatch);
  std::string wrong = data::NextDigest(Chain(5), 5, sum - 1);
  Compare(6, wrong);
  wrong = data::NextDigest(
      wrong, 6, data::ExpectedFingerprintSum(kSeed, kSequences, 6, kBatch));
  Compare(7, wrong);
  EXPECT_EQ(check.verified_step(), 5);
  EXPECT_EQ(check.mismatch_count(), 2);
  EXPECT_EQ(check.compared_step(), 7);
  // The job went back to a checkpoint that is right.
  Compare(8, Chain(8));
  EXPECT_EQ(check.verified_step(), 8);
  EXPECT_EQ(check.mismatch_count(), 2);
}

TEST_F(SampleOrderCheckTest, DoesAsMuchAtATimeAsItIsToldTo) {
  check.Take({10, Chain(10)});
  EXPECT_EQ(check.Work(3 * kBatch), 3 * kBatch);
  EXPECT_EQ(check.verified_step(), 0);
  check.Take({9, "passed over: it has one"});
  EXPECT_EQ(check.Work(1), kBatch);  // a step at least
  EXPECT_EQ(check.Work(1000), 6 * kBatch);
  EXPECT_EQ(check.verified_step(), 10);
  EXPECT_EQ(check.Work(1000), 0);
}

TEST_F(SampleOrderCheckTest, PassesOverWhatItHasSeenAndWhatIsNoChain) {
  Compare(5, std::string(32, 'x'));
  Compare(5, std::string(32, 'x'));
  EXPECT_EQ(check.mismatch_count(), 1);
  Compare(6, "");        // a trainer that has no state yet
  Compare(3, Chain(3));  // the chain is past it
  Compare(9, "too short");
  EXPECT_EQ(check.mismatch_count(), 1);
  EXPECT_EQ(check.verified_step(), 0);
}

class SampleOrderFleetTest : public ::testing::Test {
 protected:
  SampleOrderFleetTest() {
    SetLogOptions(LogLevel::kError, LogFormat::kText);
    for (const char* name : {"w0", "w1"}) fleet_.AddWorker(name);
  }
  ~SampleOrderFleetTest() override {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  }

  SampleOrderCheck Order() {
    return fleet_.core().TakeSnapshot(0).sample_orders.at("jobs/tiny");
  }

  Fleet fleet_;
};

TEST_F(SampleOrderFleetTest,
       AJobIsProvedToItsLastStepThroughFaultsAndRestarts) {
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 2, 60)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  for (int i = 0; i < 12; ++i) fleet_.Round();
  EXPECT_GT(Order().verified_step(), 0);
  fleet_.KillTrainer("w0");
  fleet_.KillTrainer("w1");
  for (int i = 0; i < 5; ++i) fleet_.Round();
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
  fleet_.Round();
  EXPECT_EQ(Order().verified_step(), 60);
  EXPECT_EQ(Order().mismatch_count(), 0);
  // And from the journal alone.
  fleet_.CrashCoordinator();
  fleet_.StartCoordinator();
  fleet_.core().DoHousekeeping();
  EXPECT_EQ(Order().verified_step(), 60);
}

TEST_F(SampleOrderFleetTest, AJobThatTrainsOtherSamplesIsFoundOut) {
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2, 60)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  for (int i = 0; i < 12; ++i) fleet_.Round();
  const int64_t proved = Order().verified_step();
  for (const char* name : {"w0", "w1"}) {
    fleet_.daemons()[name].trainers[0].state.chain = std::string(32, 'x');
  }
  for (int i = 0; i < 5; ++i) fleet_.Round();
  EXPECT_GT(Order().mismatch_count(), 0);
  EXPECT_LE(Order().verified_step(), proved + 1);
}

}  // namespace
}  // namespace lory::coordinator
