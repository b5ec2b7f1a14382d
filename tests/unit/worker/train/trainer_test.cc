#include "worker/train/trainer.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/data/dataset_manifest.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/train/dying_transport.h"
#include "tests/unit/worker/train/fleet.h"
#include "worker/collective/in_process_transport.h"

// Whole trainers: from STANDBY to FINISHED, through faults and joins.
namespace lory::train {
namespace {

using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// The digest of what a member holds, which it says in PREPARED.
std::string DigestOf(Fleet& fleet, Member& member) {
  fleet.Prepare({&member});
  return member.AwaitPhase(TrainerStatus::PREPARED).state_digest();
}

// Changes the last byte of a file.
void Flip(const std::string& path) {
  std::string bytes = *lory::io::LocalStorage().Read(path);
  bytes.back() ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(Trainer, LearnsAndFinishes) {
  Fleet fleet(TinySpec(30));
  Member& a = fleet.Add();
  a.AwaitPhase(TrainerStatus::READY);
  fleet.Start({&a}, 30);
  const double first_loss = a.AwaitStep(1).progress().loss();
  const TrainerStatus end = a.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(end.applied_step(), 30);
  EXPECT_LT(end.progress().loss(), first_loss - 1);
  EXPECT_EQ(end.progress().sample_digest(), fleet.FaultlessChain(30));
  // Evaluated at the end, by domain, and far better than frequencies alone.
  ASSERT_EQ(end.progress().evaluation().domains_size(), 2);
  EXPECT_EQ(end.progress().evaluation().domains(0).domain(), "early");
  EXPECT_EQ(end.progress().evaluation().overall().token_count(), 8 * 64);
  EXPECT_EQ(end.progress().evaluation().domains(0).routing_size(), 2);
  EXPECT_EQ(end.progress().routing_size(), 2);
  EXPECT_GT(end.progress().tokens_per_second(), 0);
  EXPECT_EQ(fleet.CheckpointAt(30, 1).sample_digest(),
            fleet.FaultlessChain(30));
}

TEST(Trainer, TwoRanksTrainWhatOneTrains) {
  Fleet alone(TinySpec(12));
  Member& a = alone.Add();
  alone.Start({&a}, 12);
  const TrainerStatus one = a.AwaitPhase(TrainerStatus::FINISHED);

  Fleet pair(TinySpec(12));
  Member& b = pair.Add();
  Member& c = pair.Add();
  pair.Start({&b, &c}, 12);
  const TrainerStatus two = b.AwaitPhase(TrainerStatus::FINISHED);
  c.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(two.progress().sample_digest(), one.progress().sample_digest());
  EXPECT_NEAR(two.progress().loss(), one.progress().loss(), 1e-3);
  EXPECT_NEAR(two.progress().evaluation().overall().loss(),
              one.progress().evaluation().overall().loss(), 1e-3);
  EXPECT_EQ(DigestOf(pair, b), DigestOf(pair, c));
}

TEST(Trainer, ARankThatDiesInAStepTakesOnlyTheStepWithIt) {
  Fleet fleet(TinySpec(12));
  lory::collective::RingTransport ring("127.0.0.1");
  DyingTransport dying(ring);
  Member& a = fleet.Add();
  Member& b = fleet.Add(&dying);
  // It dies in the exchange of step 4, before anybody has the sum.
  dying.DieInStep(4, [&] { b.board.Close(); });
  fleet.Start({&a, &b}, 12);
  const TrainerStatus broken = a.AwaitPhase(TrainerStatus::BROKEN);
  EXPECT_EQ(broken.failed_rank(), 1);
  EXPECT_EQ(broken.applied_step(), 4);
  EXPECT_THAT(broken.error(), HasSubstr("rank 1 is gone"));

  Member& c = fleet.Add();
  c.AwaitPhase(TrainerStatus::READY);
  fleet.Start({&c, &a}, 12, /*urgent=*/true);
  const TrainerStatus end = a.AwaitPhase(TrainerStatus::FINISHED);
  c.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(end.progress().sample_digest(), fleet.FaultlessChain(12));
  EXPECT_EQ(DigestOf(fleet, a), DigestOf(fleet, c));
}

TEST(Trainer, AnUrgentPrepareEndsACollectiveThatHangs) {
  Fleet fleet(TinySpec(12));
  lory::collective::RingTransport ring("127.0.0.1");
  DyingTransport dying(ring);
  Member& a = fleet.Add();
  Member& b = fleet.Add(&dying);
  dying.HangInStep(3);
  fleet.Start({&a, &b}, 12);
  a.AwaitStep(3);
  fleet.Start({&a}, 12, /*urgent=*/true);
  const TrainerStatus end = a.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(end.progress().sample_digest(), fleet.FaultlessChain(12));
  dying.Release();
}

TEST(Trainer, AJoinerIsTakenInBetweenSteps) {
  Fleet fleet(TinySpec(40));
  Member& a = fleet.Add();
  Member& b = fleet.Add();
  fleet.Start({&a}, 40);
  a.AwaitStep(2);
  b.AwaitPhase(TrainerStatus::READY);
  fleet.Start({&a, &b}, 40);  // not urgent: nothing is thrown away
  const TrainerStatus end = a.AwaitPhase(TrainerStatus::FINISHED);
  b.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(end.progress().sample_digest(), fleet.FaultlessChain(40));
  EXPECT_EQ(DigestOf(fleet, a), DigestOf(fleet, b));
}

TEST(Trainer, ResumesFromACheckpointBitForBit) {
  lory::v1::JobSpec spec = TinySpec(10);
  spec.mutable_checkpoint()->set_every_steps(5);
  Fleet fleet(spec);
  Member& a = fleet.Add();
  fleet.Start({&a}, 10);
  a.AwaitPhase(TrainerStatus::FINISHED);
  const lory::v1::Checkpoint checkpoint = fleet.CheckpointAt(5, 1);
  EXPECT_EQ(checkpoint.sample_digest(), fleet.FaultlessChain(5));

  Member& b = fleet.Add();
  fleet.Start({&b}, 10, false, &checkpoint);
  b.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(DigestOf(fleet, a), DigestOf(fleet, b));
}

TEST(Trainer, ADamagedOrMissingPartIsReportedAndOutlived) {
  lory::v1::JobSpec spec = TinySpec(10);
  spec.mutable_checkpoint()->set_every_steps(5);
  Fleet fleet(spec);
  Member& a = fleet.Add();
  fleet.Start({&a}, 10);
  a.AwaitPhase(TrainerStatus::FINISHED);
  const lory::v1::Checkpoint before = fleet.CheckpointAt(5, 1);
  const lory::v1::Checkpoint newest = fleet.CheckpointAt(10, 1);
  const std::string part = fleet.folder().At(
      "job/checkpoints/" + newest.folder() + "/" + newest.parts(0).file());
  Member& b = fleet.Add();
  Flip(part);
  for (int attempt = 0; attempt < 2; ++attempt) {
    fleet.Start({&b}, 10, attempt > 0, &newest);
    const TrainerStatus broken = b.AwaitPhase(TrainerStatus::BROKEN);
    EXPECT_EQ(broken.unreadable_checkpoint(), newest.name());
    EXPECT_THAT(broken.error(), HasSubstr(part));
    std::filesystem::remove(part);
  }
  fleet.Start({&b}, 10, /*urgent=*/true, &before);
  const TrainerStatus end = b.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(end.unreadable_checkpoint(), "");
  EXPECT_EQ(DigestOf(fleet, a), DigestOf(fleet, b));
}

TEST(Trainer, APairsCheckpointIsResumedByOneAndByThree) {
  lory::v1::JobSpec spec = TinySpec(8);
  spec.mutable_checkpoint()->set_every_steps(4);
  Fleet fleet(spec);
  Member& a = fleet.Add();
  Member& b = fleet.Add();
  fleet.Start({&a, &b}, 8);
  a.AwaitPhase(TrainerStatus::FINISHED);
  b.AwaitPhase(TrainerStatus::FINISHED);
  const lory::v1::Checkpoint checkpoint = fleet.CheckpointAt(4, 2);
  for (const int world : {1, 3}) {
    std::vector<Member*> members;
    for (int i = 0; i < world; ++i) members.push_back(&fleet.Add());
    fleet.Start(members, 8, false, &checkpoint);
    for (Member* member : members) {
      EXPECT_EQ(member->AwaitPhase(TrainerStatus::FINISHED)
                    .progress()
                    .sample_digest(),
                fleet.FaultlessChain(8));
    }
  }
}

TEST(Trainer, TheDensePhaseTurnsIntoExpertsOnAllRanks) {
  lory::v1::JobSpec spec = TinySpec(20);
  spec.mutable_model()
      ->mutable_feed_forward()
      ->mutable_lory()
      ->set_dense_fraction(0.5);
  Fleet fleet(spec);
  Member& a = fleet.Add();
  Member& b = fleet.Add();
  fleet.Start({&a, &b}, 10);
  // The round ends with the dense phase: the state at step 10 has experts.
  const TrainerStatus dense = a.Await([](const TrainerStatus& status) {
    return status.phase() == TrainerStatus::WAITING &&
           status.applied_step() == 10;
  });
  EXPECT_FALSE(dense.progress().dense_phase());
  EXPECT_EQ(dense.progress().routing_size(), 0);
  // A joiner of this moment receives experts.
  Member& c = fleet.Add();
  c.AwaitPhase(TrainerStatus::READY);
  fleet.Start({&a, &b, &c}, 10);
  const TrainerStatus end = c.AwaitPhase(TrainerStatus::FINISHED);
  a.AwaitPhase(TrainerStatus::FINISHED);
  b.AwaitPhase(TrainerStatus::FINISHED);
  EXPECT_EQ(end.progress().routing_size(), 2);
  EXPECT_EQ(end.progress().sample_digest(), fleet.FaultlessChain(20));
  const std::string digest = DigestOf(fleet, a);
  EXPECT_EQ(digest, DigestOf(fleet, b));
  EXPECT_EQ(digest, DigestOf(fleet, c));
}

TEST(Trainer, WaitsForRoundsAndGoesOnWithTheNext) {
  Fleet fleet(TinySpec(6));
  Member& a = fleet.Add();
  Member& b = fleet.Add();
  fleet.Start({&a, &b}, 3);
  const auto waits = [](const TrainerStatus& status) {
    return status.phase() == TrainerStatus::WAITING &&
           status.applied_step() == 3;
  };
  a.Await(waits);
  b.Await(waits);
  fleet.GrantRound(2, 3, 100);  // past the last step: the job ends first
  EXPECT_EQ(a.AwaitPhase(TrainerStatus::FINISHED).applied_step(), 6);
}

TEST(Trainer, StopsAllRanksAfterTheSameStepAndACheckpoint) {
  Fleet fleet(TinySpec(100'000));
  Member& a = fleet.Add();
  Member& b = fleet.Add();
  fleet.Start({&a, &b}, 100'000);
  a.AwaitStep(3);
  fleet.Order([](Assignment& assignment) {
    assignment.set_stop(Assignment::AFTER_CHECKPOINT);
  });
  const TrainerStatus at = a.AwaitPhase(TrainerStatus::STOPPED);
  EXPECT_EQ(b.AwaitPhase(TrainerStatus::STOPPED).applied_step(),
            at.applied_step());
  EXPECT_EQ(fleet.CheckpointAt(at.applied_step(), 2).sample_digest(),
            fleet.FaultlessChain(at.applied_step()));
}

TEST(Trainer, ADemandForACheckpointReachesAllThroughOne) {
  Fleet fleet(TinySpec(100'000));
  Member& a = fleet.Add();
  Member& b = fleet.Add();
  fleet.Start({&a, &b}, 100'000);
  a.AwaitStep(1);
  lory::internal::v1::TrainerOrder order;
  *order.mutable_assignment() = b.assignment;
  order.mutable_assignment()->set_checkpoint_order(9);
  b.board.Post(order);
  const auto acted = [](const TrainerStatus& status) {
    return status.checkpoint_order() == 9;
  };
  const TrainerStatus status = a.Await(acted);
  b.Await(acted);
  EXPECT_GT(status.checkpoint_stall_seconds(), 0);
}

TEST(Trainer, AFullDiskCostsACheckpointAndNothingElse) {
  lory::testing::FaultyStorage storage(lory::io::LocalStorage());
  lory::v1::JobSpec spec = TinySpec(9);
  spec.mutable_checkpoint()->set_every_steps(3);
  Fleet fleet(spec, storage);
  Member& a = fleet.Add();
  storage.LimitBytes(1000);
  fleet.Start({&a}, 6);
  const TrainerStatus failed = a.Await([](const TrainerStatus& status) {
    return status.error() != "" && status.applied_step() == 6;
  });
  EXPECT_THAT(failed.error(), HasSubstr("checkpoint of step"));
  EXPECT_THAT(failed.error(), HasSubstr("the one before stays"));
  EXPECT_EQ(failed.failed_checkpoint().generation(), 1);
  EXPECT_GT(failed.failed_checkpoint().step(), 0);
  EXPECT_THAT(failed.failed_checkpoint().error(), HasSubstr("No space left"));
  storage.Heal();
  fleet.GrantRound(2, 6, 3);
  EXPECT_EQ(a.AwaitPhase(TrainerStatus::FINISHED).error(), "");
  fleet.CheckpointAt(9, 1);
}

TEST(Trainer, ADiskThatHangsDelaysCheckpointsAndNotTraining) {
  lory::testing::FaultyStorage storage(lory::io::LocalStorage());
  lory::v1::JobSpec spec = TinySpec(12);
  spec.mutable_checkpoint()->set_every_steps(3);
  Fleet fleet(spec, storage);
  Member& a = fleet.Add();
  storage.Hang();
  fleet.Start({&a}, 10);
  // Checkpoints were due after steps 3, 6 and 9.
  a.AwaitStep(10);
  storage.Heal();
  fleet.CheckpointAt(3, 1);
  fleet.GrantRound(2, 10, 2);
  a.AwaitPhase(TrainerStatus::FINISHED);
  fleet.CheckpointAt(12, 1);
}

TEST(Trainer, EveryStepLeavesALineInTheTrace) {
  Fleet fleet(TinySpec(5));
  Member& a = fleet.Add();
  fleet.Start({&a}, 5);
  a.AwaitPhase(TrainerStatus::FINISHED);
  std::ifstream trace(fleet.folder().At("job/trace/w-0.jsonl"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(trace, line);) lines.push_back(line);
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_THAT(lines[4], HasSubstr(R"("step":4,"generation":1,)"));
}

TEST(Trainer, TheStepAfterACheckpointSaysWhatItCost) {
  lory::v1::JobSpec spec = TinySpec(6);
  spec.mutable_checkpoint()->set_every_steps(3);
  Fleet fleet(spec);
  Member& a = fleet.Add();
  fleet.Start({&a}, 6);
  a.AwaitPhase(TrainerStatus::FINISHED);
  std::ifstream rows(fleet.folder().At("job/metrics/steps.jsonl"));
  std::vector<int> with_stall;
  for (std::string line; std::getline(rows, line);) {
    const auto row = nlohmann::json::parse(line);
    if (row["checkpoint_seconds"] > 0) with_stall.push_back(row["step"]);
    EXPECT_LT(row["checkpoint_seconds"], row["step_seconds"]);
  }
  EXPECT_THAT(with_stall, ElementsAre(4));
}

TEST(Trainer, AnotherDatasetThanTheRegisteredOneFailsTheJob) {
  Fleet fleet(TinySpec(5));
  Member& a = fleet.Add();
  a.AwaitPhase(TrainerStatus::READY);
  Member& b = fleet.Add();
  b.AwaitPhase(TrainerStatus::READY);
  // A trainer that starts later finds other files.
  lory::collective::InProcessTransport transport;
  Member late(7, transport, lory::io::LocalStorage());
  Assignment assignment = a.assignment;
  assignment.set_dataset_manifest_sha256(std::string(64, 'a'));
  lory::internal::v1::TrainerOrder order;
  *order.mutable_assignment() = assignment;
  late.board.Post(order);
  const TrainerStatus status = late.AwaitPhase(TrainerStatus::FAILED);
  EXPECT_TRUE(status.error_is_permanent());
  EXPECT_THAT(status.error(), HasSubstr("is not the manifest of"));
}

TEST(Trainer, AnAlteredShardFailsTheJobBeforeItsFirstStep) {
  for (const char* shard : {"train.bin", "late.bin"}) {
    Fleet fleet(TinySpec(5));
    Flip(fleet.folder().At(shard));
    const TrainerStatus status = fleet.Add().AwaitPhase(TrainerStatus::FAILED);
    EXPECT_TRUE(status.error_is_permanent());
    EXPECT_EQ(status.applied_step(), -1);
    EXPECT_THAT(status.error(), HasSubstr(shard));
    EXPECT_THAT(status.error(),
                HasSubstr("lory-corpus verify " + fleet.folder().path()));
  }
}

TEST(Trainer, AnAlteredShardOfLargeDataFailsTheJobBeforeItsEnd) {
  Fleet fleet(TinySpec(20));
  Flip(fleet.folder().At("train.bin"));
  // As if it were too large to wait for: training begins meanwhile, unless the
  // check is quicker.
  Member& a = fleet.Add(nullptr, /*check_first_bytes=*/0);
  const TrainerStatus first = a.Await([](const TrainerStatus& status) {
    return status.phase() == TrainerStatus::READY ||
           status.phase() == TrainerStatus::FAILED;
  });
  if (first.phase() == TrainerStatus::READY) fleet.Start({&a}, 20);
  const TrainerStatus status = a.AwaitPhase(TrainerStatus::FAILED);
  EXPECT_TRUE(status.error_is_permanent());
  EXPECT_THAT(status.error(), HasSubstr("train.bin: SHA-256 is"));
}

TEST(Trainer, ARestartedTrainerTakesVerifiedFilesForGranted) {
  Fleet fleet(TinySpec(5));
  fleet.Add().AwaitPhase(TrainerStatus::READY);
  const std::string path = fleet.folder().At("job/verified/w-0.txt");
  const std::string lines = *lory::io::LocalStorage().Read(path);
  lory::collective::InProcessTransport transport;
  Member again(0, transport, lory::io::LocalStorage());
  lory::internal::v1::TrainerOrder order;
  *order.mutable_assignment() = fleet.Add().assignment;
  again.board.Post(order);
  again.AwaitPhase(TrainerStatus::READY);
  EXPECT_EQ(*lory::io::LocalStorage().Read(path), lines);
}

TEST(Trainer, AMissingDatasetFailsTheJobAndSaysHowToMendIt) {
  for (const char* file : {"train.idx", "manifest.json"}) {
    Fleet fleet(TinySpec(5));
    std::filesystem::remove(fleet.folder().At(file));
    const TrainerStatus status = fleet.Add().AwaitPhase(TrainerStatus::FAILED);
    EXPECT_TRUE(status.error_is_permanent());
    EXPECT_THAT(status.error(), HasSubstr(file));
    EXPECT_THAT(status.error(),
                HasSubstr("`loryctl dataset register counting "));
  }
}

TEST(Trainer, AModelThatDoesNotFitTheDataFailsTheJob) {
  lory::v1::JobSpec spec = TinySpec(5);
  spec.mutable_model()->set_vocabulary_size(65);
  Fleet fleet(spec);
  const TrainerStatus status = fleet.Add().AwaitPhase(TrainerStatus::FAILED);
  EXPECT_TRUE(status.error_is_permanent());
  EXPECT_THAT(status.error(), HasSubstr("has 64 ids; set it to that"));
}

TEST(Trainer, BytesAlteredWhileItTrainsFailTheJob) {
  constexpr int64_t kNever = 1'000'000;
  lory::v1::JobSpec spec = TinySpec(kNever);
  spec.mutable_checkpoint()->set_every_steps(10);
  Fleet fleet(spec);
  Member& a = fleet.Add();
  fleet.Start({&a}, kNever);
  a.AwaitStep(11);
  std::fstream shard(fleet.folder().At("train.bin"),
                     std::ios::in | std::ios::out | std::ios::binary);
  const int first = shard.get();
  shard.seekp(0);
  shard.put(static_cast<char>(first ^ 1));
  shard.close();
  const TrainerStatus status = a.AwaitPhase(TrainerStatus::FAILED);
  EXPECT_TRUE(status.error_is_permanent());
  EXPECT_THAT(status.error(), AllOf(HasSubstr("train.bin: SHA-256 is "),
                                    HasSubstr("--redo pack"),
                                    HasSubstr("then `loryctl job resume ")));
}

TEST(Trainer, TokensBeyondTheVocabularyFailTheJobAndNameTheFile) {
  lory::v1::JobSpec spec = TinySpec(5);
  spec.mutable_model()->set_vocabulary_size(60);
  Fleet fleet(spec);
  const std::string path = fleet.folder().At("manifest.json");
  auto manifest = lory::data::ReadDatasetManifest(path);
  ASSERT_OK(manifest);
  manifest->vocabulary_size = 60;  // its tokens go up to 63
  fleet.folder().Write("manifest.json", SerializeDatasetManifest(*manifest));
  const TrainerStatus status = fleet.Add().AwaitPhase(TrainerStatus::FAILED);
  EXPECT_TRUE(status.error_is_permanent());
  EXPECT_TRUE(status.error_is_of_job());
  EXPECT_THAT(status.error(), HasSubstr("train.bin: sequence "));
  EXPECT_THAT(status.error(),
              HasSubstr(", but vocabulary_size in the manifest is 60"));
  EXPECT_THAT(status.error(),
              HasSubstr("`lory-corpus build SPEC --redo pack`, then submit the "
                        "job anew"));
}

TEST(Trainer, LossesThatAreNotFiniteFailTheJobAfterTheLimit) {
  lory::v1::JobSpec spec = TinySpec(50);
  spec.mutable_optimizer()->set_peak_learning_rate(1e30);
  spec.mutable_optimizer()->set_clip_norm(-1);
  spec.mutable_optimizer()->set_nonfinite_step_limit(3);
  Fleet fleet(spec);
  Member& a = fleet.Add();
  fleet.Start({&a}, 50);
  const TrainerStatus status = a.AwaitPhase(TrainerStatus::FAILED);
  EXPECT_TRUE(status.error_is_permanent());
  EXPECT_TRUE(status.error_is_of_job());
  EXPECT_THAT(status.error(), HasSubstr("not finite in 3 steps in a row"));
  EXPECT_EQ(status.progress().nonfinite_step_count(), 3);
}

TEST(Trainer, AJobThatNeverUpdatedAnythingFails) {
  lory::v1::JobSpec spec = TinySpec(4);
  spec.mutable_model()->set_init_stddev(1e38);  // products are infinite
  Fleet fleet(spec);
  Member& a = fleet.Add();
  fleet.Start({&a}, 4);
  const TrainerStatus status = a.AwaitPhase(TrainerStatus::FAILED);
  EXPECT_TRUE(status.error_is_permanent());
  EXPECT_TRUE(status.error_is_of_job());
  EXPECT_THAT(status.error(), AllOf(HasSubstr("in any of the 4 steps"),
                                    HasSubstr("no update was ever applied"),
                                    HasSubstr("optimizer.learning_rate")));
  EXPECT_EQ(status.progress().nonfinite_step_count(), 4);
}

}  // namespace
}  // namespace lory::train
