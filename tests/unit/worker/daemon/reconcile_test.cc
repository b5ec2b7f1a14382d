#include "worker/daemon/reconcile.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::daemon {
namespace {

using ::lory::v1::Assignment;
using ::lory::v1::DesiredState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Assignment Wanted(int32_t slot, const std::string& job,
                  Assignment::Phase phase = Assignment::STANDBY,
                  int64_t generation = 0) {
  Assignment assignment;
  assignment.set_slot(slot);
  assignment.set_job(job);
  assignment.set_phase(phase);
  assignment.set_generation(generation);
  return assignment;
}

DesiredState Desired(std::vector<Assignment> assignments) {
  DesiredState desired;
  for (Assignment& assignment : assignments) {
    *desired.add_assignments() = std::move(assignment);
  }
  return desired;
}

std::vector<std::string> Plan(const DesiredState& desired,
                              const std::vector<TrainerView>& trainers) {
  std::vector<std::string> lines;
  for (const Action& action : Reconcile(desired, trainers, 4)) {
    std::string line = std::to_string(action.slot);
    switch (action.kind) {
      case Action::Kind::kStart:
        line += " start " + action.assignment.job();
        break;
      case Action::Kind::kStop:
        line += " stop " + action.incarnation;
        break;
      case Action::Kind::kOrder:
        line += " order " + action.incarnation + " " +
                Assignment::Phase_Name(action.assignment.phase());
        break;
    }
    lines.push_back(line);
  }
  return lines;
}

const TrainerView kTiny = {.slot = 0, .job = "jobs/tiny", .incarnation = "i1"};

TEST(ReconcileTest, NothingWantedAndNothingThereIsNothingToDo) {
  EXPECT_THAT(Plan(Desired({}), {}), IsEmpty());
}

TEST(ReconcileTest, AnEmptySlotIsFilled) {
  EXPECT_THAT(Plan(Desired({Wanted(1, "jobs/a"), Wanted(0, "jobs/tiny")}), {}),
              ElementsAre("0 start jobs/tiny", "1 start jobs/a"));
}

TEST(ReconcileTest, ATrainerThatIsWantedGetsItsOrder) {
  EXPECT_THAT(
      Plan(Desired({Wanted(0, "jobs/tiny", Assignment::PREPARE, 3)}), {kTiny}),
      ElementsAre("0 order i1 PREPARE"));
}

TEST(ReconcileTest, ATrainerNobodyWantsIsStopped) {
  EXPECT_THAT(Plan(Desired({}), {kTiny}), ElementsAre("0 stop i1"));
}

TEST(ReconcileTest, ASlotChangesItsJobByAStopFirst) {
  EXPECT_THAT(Plan(Desired({Wanted(0, "jobs/other")}), {kTiny}),
              ElementsAre("0 stop i1"));
}

TEST(ReconcileTest, AnEndingTrainerKeepsItsSlotAndIsLeftAlone) {
  TrainerView ending = kTiny;
  ending.ending = true;
  EXPECT_THAT(Plan(Desired({Wanted(0, "jobs/other")}), {ending}), IsEmpty());
  EXPECT_THAT(Plan(Desired({Wanted(0, "jobs/tiny")}), {ending}), IsEmpty());
  EXPECT_THAT(Plan(Desired({}), {ending}), IsEmpty());
}

TEST(ReconcileTest, NobodyRunsAGenerationItHasNotPrepared) {
  const DesiredState run =
      Desired({Wanted(0, "jobs/tiny", Assignment::RUN, 3)});
  EXPECT_THAT(Plan(run, {kTiny}), ElementsAre("0 order i1 STANDBY"));
  TrainerView older = kTiny;
  older.prepared_generation = 2;
  EXPECT_THAT(Plan(run, {older}), ElementsAre("0 order i1 STANDBY"));
  TrainerView prepared = kTiny;
  prepared.prepared_generation = 3;
  EXPECT_THAT(Plan(run, {prepared}), ElementsAre("0 order i1 RUN"));
}

TEST(ReconcileTest, SlotsThatDoNotExistAreLeftOut) {
  EXPECT_THAT(Plan(Desired({Wanted(4, "jobs/a"), Wanted(-1, "jobs/b")}), {}),
              IsEmpty());
}

TEST(ReconcileTest, EverySlotIsDecidedOnItsOwn) {
  const TrainerView other = {.slot = 2, .job = "jobs/old", .incarnation = "i2"};
  EXPECT_THAT(
      Plan(Desired({Wanted(3, "jobs/new"), Wanted(0, "jobs/tiny")}),
           {kTiny, other}),
      ElementsAre("0 order i1 STANDBY", "2 stop i2", "3 start jobs/new"));
}

}  // namespace
}  // namespace lory::daemon
