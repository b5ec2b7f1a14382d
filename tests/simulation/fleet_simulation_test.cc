#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "coordinator/state/job_state.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fleet.h"

// A fleet under random faults against the real coordinator core. While faults
// come, nothing wrong may happen; once they stop, the job must end. Every
// seed is one history: run one alone with
//
//   LORY_SIMULATION_SEED=17 fleet_simulation_test
//
// and more of them with LORY_SIMULATION_SEEDS=20000.
namespace lory::testing {
namespace {

using ::lory::v1::Job;

constexpr char kUnfit[] = "this host has no data";

class History {
 public:
  explicit History(uint64_t seed) : random_(Mix64(seed)) {
    const int workers = 2 + Below(4);
    for (int i = 0; i < workers; ++i) {
      names_.push_back(absl::StrCat("w", i));
      fleet_.AddWorker(names_.back(), 1 + Below(2));
    }
    const int min_workers = 1 + Below(2);
    const int max_workers = min_workers + Below(3);
    spec_ = Fleet::Spec(min_workers, max_workers, 20 + Below(60));
    spec_.mutable_checkpoint()->set_every_steps(Below(3) == 0 ? 0
                                                              : 3 + Below(9));
    EXPECT_TRUE(fleet_.Submit("sim", spec_).ok());
    faults_left_ = Below(14);
  }

  // Empty, or what went wrong.
  std::string Run() {
    for (int move = 0; move < 400; ++move) {
      Disturb();
      MoveSome();
      if (std::string wrong = fleet_.CheckInvariants(); !wrong.empty()) {
        return absl::StrCat("after move ", move, ": ", wrong);
      }
    }
    Heal();
    const bool ended = fleet_.RunUntil(
        [&] {
          const Job job = fleet_.Job("sim");
          if (replaced_) {
            GoOnReplacing();
            return false;
          }
          // Hosts that were not fit, and at some time no other: mended by now.
          const bool unfit =
              job.state() == Job::FAILED && job.reason() == kUnfit;
          if (job.state() == Job::PAUSED || unfit)
            Verb(&coordinator::Coordinator::ResumeJob);
          return job.state() == Job::SUCCEEDED ||
                 (job.state() == Job::FAILED && !unfit);
        },
        2000);
    if (std::string wrong = fleet_.CheckInvariants(); !wrong.empty()) {
      return wrong;
    }
    const Job job = fleet_.Job("sim");
    if (!ended || job.state() != Job::SUCCEEDED) {
      return absl::StrCat("no end after the faults stopped: ",
                          job.ShortDebugString());
    }
    return fleet_.Audit("sim");
  }

 private:
  int Below(int bound) {
    return static_cast<int>(random_.Below(static_cast<uint64_t>(bound)));
  }
  const std::string& AnyWorker() {
    return names_[static_cast<size_t>(Below(static_cast<int>(names_.size())))];
  }

  void Verb(absl::StatusOr<Job> (coordinator::Coordinator::*verb)(
      const lory::v1::JobVerbRequest&)) {
    lory::v1::JobVerbRequest request;
    request.set_name("jobs/sim");
    IgnoreStatus((fleet_.core().*verb)(request).status(),
                 "the job's state may not allow it now");
  }

  void DeleteWorker() {
    lory::v1::WorkerVerbRequest request;
    request.set_name(absl::StrCat("workers/", AnyWorker()));
    IgnoreStatus(fleet_.core().DeleteWorker(request).status(),
                 "the worker may be alive");
  }

  void Drain(bool drain) {
    lory::v1::WorkerVerbRequest request;
    request.set_name(absl::StrCat("workers/", AnyWorker()));
    IgnoreStatus(drain ? fleet_.core().DrainWorker(request).status()
                       : fleet_.core().UndrainWorker(request).status(),
                 "the worker may not be known");
  }

  // The job is cancelled, deleted, and another one takes its name: one move
  // at a time, for trainers and files go slowly.
  void GoOnReplacing() {
    const Job job = fleet_.Job("sim");
    if (job.name().empty()) {
      // Other samples in each life: nothing of an earlier one can pass for it.
      spec_.set_seed(spec_.seed() + 1);
      const absl::Status submitted = fleet_.Submit("sim", spec_).status();
      replaced_ = !submitted.ok();
      if (!replaced_) zombies_.clear();
      if (ReasonOf(submitted) == "JOB_FOLDER_TAKEN") {
        // What a trainer wrote after the deletion; a person removes it.
        EXPECT_TRUE(fleet_.storage().Remove("/storage/jobs/sim").ok());
      }
    } else if (coordinator::IsFinal(job.state())) {
      Verb(&coordinator::Coordinator::DeleteJob);
    } else {
      Verb(&coordinator::Coordinator::CancelJob);
    }
  }

  // Its trainers live and train on, but nobody hears of them before their job
  // is deleted and another one has its name.
  void MakeZombies(const std::string& worker) {
    fleet_.BreakStream(worker);
    fleet_.CutOff(worker, true);
    zombies_.insert(worker);
    replaced_ = true;
  }

  void Disturb() {
    if (faults_left_ == 0 || Below(12) != 0) return;
    --faults_left_;
    const bool up = fleet_.coordinator_up();
    switch (Below(16)) {
      case 0:
        fleet_.KillTrainer(AnyWorker());
        break;
      case 1:
        fleet_.KillDaemon(AnyWorker());
        break;
      case 2:
        fleet_.BreakStream(AnyWorker());
        break;
      case 3:
        fleet_.CutOff(AnyWorker(), true);
        break;
      case 4:
        fleet_.CrashCoordinator();
        break;
      case 5:
        fleet_.FailNextStep("sim", {Below(3)});
        break;
      case 6:
        // One that applied the step alone, and died with it.
        fleet_.FailNextStep("sim", {0});
        fleet_.KillTrainer(names_[0]);
        break;
      case 7:
        if (up) Verb(&coordinator::Coordinator::PauseJob);
        break;
      case 8:
        if (up) Drain(true);
        break;
      case 9:
        if (up)
          fleet_.journal().FailNextAppend(
              absl::ResourceExhaustedError("no space left"));
        break;
      case 10:
        fleet_.storage().FillDiskFor(Below(2) == 0 ? "manifest" : "part-");
        break;
      case 11:
        // What starts here from now on fails for good.
        fleet_.daemons()[AnyWorker()].unfit = kUnfit;
        break;
      case 12:
        for (auto& [slot, trainer] : fleet_.daemons()[AnyWorker()].trainers) {
          trainer.busy_moves = 10 + Below(150);
        }
        break;
      case 13:
        replaced_ = true;
        break;
      case 14:
        MakeZombies(AnyWorker());
        break;
      case 15:
        // The next manifest is late: by then its generation has ended.
        fleet_.storage().OnNextWrite("manifest.json", [this] {
          fleet_.KillTrainer(AnyWorker());
          for (int move = 5 + Below(40); move > 0; --move) MoveSome();
        });
        break;
    }
  }

  // Each party moves or not, in an order that differs every time: messages
  // are late, reports come before and after what they describe.
  void MoveSome() {
    for (auto& [name, daemon] : fleet_.daemons()) {
      if (!daemon.alive && Below(20) == 0) fleet_.ReviveDaemon(name);
      if (daemon.cut_off && zombies_.count(name) == 0 && Below(30) == 0) {
        fleet_.CutOff(name, false);
      }
      if (Below(4) != 0) fleet_.MoveDaemon(daemon);
    }
    if (Below(3) != 0) fleet_.MoveTrainers();
    for (auto& [name, daemon] : fleet_.daemons()) {
      if (Below(3) == 0) fleet_.CommitParts(daemon);
      if (Below(3) == 0) fleet_.MoveDaemon(daemon);
    }
    if (Below(10) == 0) fleet_.storage().FillDiskFor("");
    fleet_.clock().Advance(absl::Milliseconds(20 + Below(400)));
    if (!fleet_.coordinator_up()) {
      if (Below(6) == 0) fleet_.StartCoordinator();
      return;
    }
    fleet_.core().Tick();
    if (Below(3) == 0) fleet_.core().DoHousekeeping();
    if (replaced_ && Below(3) == 0) GoOnReplacing();
    if (Below(20) == 0) Verb(&coordinator::Coordinator::ResumeJob);
    if (Below(20) == 0) Drain(false);
    if (Below(20) == 0) DeleteWorker();
  }

  void Heal() {
    if (!fleet_.coordinator_up()) fleet_.StartCoordinator();
    fleet_.storage().FillDiskFor("");
    for (const std::string& name : names_) {
      if (!fleet_.daemons()[name].unfit.empty()) fleet_.KillDaemon(name);
      fleet_.ReviveDaemon(name);
      fleet_.CutOff(name, false);
      lory::v1::WorkerVerbRequest request;
      request.set_name(absl::StrCat("workers/", name));
      IgnoreStatus(fleet_.core().UndrainWorker(request).status(),
                   "the worker may not be known");
    }
  }

  Random random_;
  Fleet fleet_;
  std::vector<std::string> names_;
  lory::v1::JobSpec spec_;
  bool replaced_ = false;  // by another job of its name, as soon as it can be
  std::set<std::string> zombies_;  // workers that do not know of that
  int faults_left_ = 0;
};

int64_t Setting(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  int64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

TEST(FleetSimulation, NoFaultLosesOrRepeatsASampleAndTheJobEnds) {
  SetLogOptions(LogLevel::kError, LogFormat::kText);
  const int64_t only = Setting("LORY_SIMULATION_SEED", -1);
  if (only >= 0) {
    SetLogOptions(LogLevel::kInfo, LogFormat::kText);
    EXPECT_EQ(History(static_cast<uint64_t>(only)).Run(), "");
    return;
  }
  const int64_t seeds = Setting("LORY_SIMULATION_SEEDS", 90);
  int failures = 0;
  for (int64_t seed = 1; seed <= seeds && failures < 5; ++seed) {
    const std::string wrong = History(static_cast<uint64_t>(seed)).Run();
    EXPECT_EQ(wrong, "") << "LORY_SIMULATION_SEED=" << seed;
    if (!wrong.empty()) ++failures;
  }
  std::printf("%d seeds\n", static_cast<int>(seeds));
}

}  // namespace
}  // namespace lory::testing
