#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// One event that ends more trainers than a job may lose without a step.
namespace lory::testing {
namespace {

using ::lory::v1::Job;

constexpr int kTrainers = 7;

class RackLossTest : public ::testing::Test {
 protected:
  RackLossTest() { SetLogOptions(LogLevel::kError, LogFormat::kText); }
  ~RackLossTest() override { SetLogOptions(LogLevel::kInfo, LogFormat::kText); }

  void SetUp() override {
    for (int i = 0; i < kTrainers; ++i) fleet_.AddWorker(Name(i));
    ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, kTrainers, 60)));
    ASSERT_TRUE(fleet_.RunUntil([&] {
      return fleet_.Job("tiny").members_size() == kTrainers &&
             fleet_.Job("tiny").progress().step() >= 7;
    }));
  }

  static std::string Name(int i) { return absl::StrCat("w", i); }

  void Finish() {
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED))
        << fleet_.Job("tiny").ShortDebugString();
    EXPECT_EQ(fleet_.Audit("tiny"), "");
    EXPECT_EQ(fleet_.CheckInvariants(), "");
  }

  Fleet fleet_;
};

TEST_F(RackLossTest, AllAtOnceAreOneFailure) {
  for (int i = 0; i < kTrainers; ++i) fleet_.KillTrainer(Name(i));
  Finish();
}

TEST_F(RackLossTest, OneAfterTheOtherWhileTheRestPrepareAreOneFailure) {
  for (int i = 0; i < kTrainers; ++i) {
    fleet_.KillTrainer(Name(i));
    fleet_.MoveDaemon(fleet_.daemons()[Name(i)]);
  }
  Finish();
}

}  // namespace
}  // namespace lory::testing
