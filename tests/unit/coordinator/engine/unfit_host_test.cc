#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"
#include "tests/support/status_matchers.h"

// A healthy job beside a host that is not fit for it, and members that are busy
// when it is to change.
namespace lory::testing {
namespace {

using ::lory::v1::Job;

class UnfitHostTest : public ::testing::Test {
 protected:
  UnfitHostTest() { SetLogOptions(LogLevel::kError, LogFormat::kText); }
  ~UnfitHostTest() override {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  }

  void Begin(int workers, lory::v1::JobSpec spec) {
    for (int i = 0; i < workers; ++i) fleet_.AddWorker(absl::StrCat("w", i));
    ASSERT_OK(fleet_.Submit("tiny", std::move(spec)));
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  }

  void Finish() {
    ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::SUCCEEDED));
    EXPECT_EQ(fleet_.Audit("tiny"), "");
    EXPECT_EQ(fleet_.CheckInvariants(), "");
  }

  std::string Explained() {
    std::string all;
    const auto answer = fleet_.core().ExplainJob("jobs/tiny");
    for (const auto& sentence : answer->sentences()) all += sentence;
    return all;
  }

  // Events that say that a slot is not used.
  int BarsTold() {
    lory::v1::ListJobEventsRequest request;
    request.set_parent("jobs/tiny");
    request.set_page_size(1000);
    const auto events = fleet_.core().ListJobEvents(request);
    int told = 0;
    for (const auto& event : events->events()) {
      if (event.kind() != lory::v1::JobEvent::SLOT_BARRED) continue;
      ++told;
      const auto seconds = event.attributes().find("seconds");
      told_seconds_ =
          seconds == event.attributes().end() ? "" : seconds->second;
    }
    return told;
  }

  Fleet fleet_;
  std::string told_seconds_;  // of the last of them
};

TEST_F(UnfitHostTest, AJoinerThatFailsForGoodIsBarredAndTheJobGoesOn) {
  Begin(1, Fleet::Spec(1, 2, 300));
  fleet_.AddWorker("w1");
  fleet_.daemons()["w1"].unfit = "/data is not there";
  ASSERT_TRUE(fleet_.RunUntil([&] {
    return absl::StrContains(Explained(), "nowhere else: /data is not there");
  }));
  for (int i = 0; i < 20; ++i) fleet_.Round();
  EXPECT_EQ(fleet_.Job("tiny").state(), Job::RUNNING);
  EXPECT_EQ(fleet_.Job("tiny").generation(), 1);
  EXPECT_EQ(BarsTold(), 1);
  // Mended and started again, it is taken in.
  fleet_.KillDaemon("w1");
  fleet_.ReviveDaemon("w1");
  EXPECT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").members_size() == 2; }));
  Finish();
}

TEST_F(UnfitHostTest, AHostThatFailsBeforeTheOthersAreUpDoesNotFailTheJob) {
  fleet_.AddWorker("w0");
  fleet_.daemons()["w0"].unfit = "/data is not there";
  fleet_.AddWorker("w1");
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 2, 300)));
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.daemons()["w1"].trainers.count(0) > 0; }));
  fleet_.daemons()["w1"].trainers[0].start_moves = 30;
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  EXPECT_EQ(fleet_.Job("tiny").members_size(), 1);
  EXPECT_EQ(BarsTold(), 1);
  Finish();
}

TEST_F(UnfitHostTest, ManySlotsOfOneHostProveNoMoreThanOne) {
  fleet_.AddWorker("w0", 4);
  fleet_.daemons()["w0"].unfit = "/data is not there";
  fleet_.AddWorker("w1");
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 5, 300)));
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.daemons()["w1"].trainers.count(0) > 0; }));
  fleet_.daemons()["w1"].trainers[0].start_moves = 30;
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::RUNNING));
  Finish();
}

TEST_F(UnfitHostTest, WhatFailsAlikeOnThreeHostsFailsTheJob) {
  for (const char* name : {"w0", "w1", "w2", "w3", "w4"}) {
    fleet_.AddWorker(name);
    fleet_.daemons()[name].unfit = "wrong vocabulary";
  }
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 5)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  EXPECT_EQ(fleet_.Job("tiny").reason(), "wrong vocabulary");
  EXPECT_LE(BarsTold(), 2);
}

TEST_F(UnfitHostTest, AHostWhereNoTrainerStartsLeavesTheJobToOthers) {
  for (const bool for_good : {true, false}) {
    Fleet fleet;
    fleet.AddWorker("w0");  // is taken first
    fleet.daemons()["w0"].unfit = "/bin/nope: no such file";
    fleet.daemons()["w0"].unfit_for_good = for_good;
    fleet.AddWorker("w1");
    ASSERT_OK(fleet.Submit("tiny", Fleet::Spec(1, 1, 100)));
    ASSERT_TRUE(fleet.RunUntilState("tiny", Job::RUNNING)) << for_good;
    EXPECT_EQ(fleet.Job("tiny").members(0).worker(), "workers/w1");
    ASSERT_TRUE(fleet.RunUntilState("tiny", Job::SUCCEEDED));
    EXPECT_EQ(fleet.Audit("tiny"), "");
  }
}

TEST_F(UnfitHostTest, ABarOfAHostWhereNoTrainerStartedPasses) {
  Begin(1, Fleet::Spec(1, 2, 100'000));
  fleet_.AddWorker("w1");
  fleet_.daemons()["w1"].unfit = "the mount hangs";
  fleet_.daemons()["w1"].unfit_for_good = false;
  ASSERT_TRUE(fleet_.RunUntil([&] { return BarsTold() == 1; }));
  EXPECT_TRUE(absl::StrContains(Explained(), "for some minutes"));
  EXPECT_EQ(told_seconds_, "300");
  fleet_.daemons()["w1"].unfit.clear();
  EXPECT_EQ(fleet_.Job("tiny").members_size(), 1);
  fleet_.clock().Advance(absl::Minutes(5));
  EXPECT_TRUE(
      fleet_.RunUntil([&] { return fleet_.Job("tiny").members_size() == 2; }));
}

TEST_F(UnfitHostTest, WhatStartsNowhereFailsAfterThreeHostsWhateverItsWords) {
  for (const char* name : {"w0", "w1", "w2", "w3", "w4"}) {
    fleet_.AddWorker(name);
    fleet_.daemons()[name].unfit = absl::StrCat("/verified/", name, ".txt");
    fleet_.daemons()[name].unfit_for_good = false;
  }
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  EXPECT_LE(BarsTold(), 2);
}

TEST_F(UnfitHostTest, WhatCannotStartAnywhereFailsTheJobAndSaysWhy) {
  fleet_.AddWorker("w0");
  fleet_.daemons()["w0"].unfit = "making a folder: permission denied";
  fleet_.daemons()["w0"].unfit_for_good = false;
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1, 100)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  EXPECT_THAT(fleet_.Job("tiny").reason(),
              ::testing::HasSubstr("the last: making a folder: permission"));
  EXPECT_EQ(BarsTold(), 0);
}

TEST_F(UnfitHostTest, WhatIsTheJobsOwnFaultBarsNobody) {
  Begin(2, Fleet::Spec(1, 2, 300));
  fleet_.daemons()["w0"].unfit = "the loss is not finite";
  fleet_.daemons()["w0"].diverges = true;
  fleet_.daemons()["w0"].trainers[0].phase = lory::v1::TrainerStatus::FAILED;
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  EXPECT_EQ(fleet_.Job("tiny").reason(), "the loss is not finite");
  EXPECT_EQ(BarsTold(), 0);
}

TEST_F(UnfitHostTest, WhatFailsForGoodEverywhereFailsTheJob) {
  for (const char* name : {"w0", "w1"}) {
    fleet_.AddWorker(name);
    fleet_.daemons()[name].unfit = "wrong vocabulary";
  }
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(2, 2)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  EXPECT_EQ(fleet_.Job("tiny").reason(), "wrong vocabulary");
}

TEST_F(UnfitHostTest, AnEvaluationLongerThanThePrepareLimitKillsNobody) {
  Begin(2, Fleet::Spec(1, 3, 100));
  ASSERT_TRUE(fleet_.RunUntil(
      [&] { return fleet_.Job("tiny").progress().step() >= 7; }));
  const auto incarnations = [&] {
    return fleet_.daemons()["w0"].trainers[0].incarnation +
           fleet_.daemons()["w1"].trainers[0].incarnation;
  };
  const std::string before = incarnations();
  // 20 s, twice the limit.
  fleet_.daemons()["w0"].trainers[0].busy_moves = 200;
  fleet_.daemons()["w1"].trainers[0].busy_moves = 200;
  fleet_.AddWorker("w2");
  ASSERT_TRUE(fleet_.RunUntil([&] {
    return fleet_.Job("tiny").members_size() == 3 &&
           fleet_.Job("tiny").progress().step() > 10;
  }));
  EXPECT_EQ(incarnations(), before);
  EXPECT_EQ(fleet_.Job("tiny").recovery_count(), 0);
  Finish();
}

TEST_F(UnfitHostTest, WhoeverStartedATrainerIsAskedForItsLog) {
  for (const std::string name : {"w0", "w1"}) {
    fleet_.AddWorker(name);
    fleet_.daemons()[name].unfit = "the model does not fit the data";
    fleet_.daemons()[name].diverges = true;
  }
  ASSERT_OK(fleet_.Submit("tiny", Fleet::Spec(1, 1)));
  ASSERT_OK(fleet_.Submit("large", Fleet::Spec(5, 5)));
  ASSERT_TRUE(fleet_.RunUntilState("tiny", Job::FAILED));
  ASSERT_EQ(fleet_.Job("tiny").generation(), 0);
  LORY_ASSERT_OK_AND_ASSIGN(const std::vector<std::string> all,
                            fleet_.core().LogSources("jobs/tiny"));
  EXPECT_THAT(all, ::testing::ElementsAre("w0:7450", "w1:7450"));
  // It never had one: what workers hold is of another job of that name.
  LORY_ASSERT_OK_AND_ASSIGN(const std::vector<std::string> none,
                            fleet_.core().LogSources("jobs/large"));
  EXPECT_THAT(none, ::testing::IsEmpty());
}

}  // namespace
}  // namespace lory::testing
