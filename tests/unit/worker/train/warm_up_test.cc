#include "worker/train/warm_up.h"

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/train/fleet.h"
#include "worker/train/train_step.h"

namespace lory::train {
namespace {

struct WarmUpTest : ::testing::Test {
  WarmUpTest() {
    assignment.set_job("jobs/tiny");
    assignment.set_dataset_manifest_path(
        WriteCountingDataset(folder.path(), 50));
    assignment.set_job_folder(folder.At("job"));
  }

  // What a trainer of its own holds after three steps.
  std::string DigestAfterThreeSteps(bool warm_up) {
    *assignment.mutable_spec() = spec;
    const auto job = OpenJob(assignment, "w-0", kCheckFirstBytes, [] {});
    EXPECT_OK(job);
    if (warm_up) {
      EXPECT_OK(WarmUp(**job, RealClock(), [] {}));
    }
    absl::StatusOr<TrainingState> state = InitialState(spec);
    EXPECT_OK(state);
    (*job)->loader->Start(
        {.first_step = 0, .end_step = 3, .first = 0, .count = 4});
    for (int step = 0; step < 3; ++step) {
      const auto sums = AccumulateGradient(
          (*job)->spec, *state, *(*job)->loader, 4, RealClock(), [] {});
      EXPECT_OK(sums);
      EXPECT_OK(ApplyStep(spec,
                          {.token_count = sums->token_count,
                           .loss_sum = sums->loss_sum,
                           .fingerprint_sum = sums->fingerprint_sum},
                          *state));
    }
    return DigestOf(*state);
  }

  const lory::testing::TemporaryFolder folder;
  lory::v1::JobSpec spec = TinySpec(9);
  lory::v1::Assignment assignment;
};

TEST_F(WarmUpTest, ChangesNoBitOfWhatIsTrained) {
  EXPECT_EQ(DigestAfterThreeSteps(true), DigestAfterThreeSteps(false));
}

TEST_F(WarmUpTest, ChangesNoBitOfAJobWithADensePhase) {
  spec.mutable_model()
      ->mutable_feed_forward()
      ->mutable_lory()
      ->set_dense_fraction(0.2);
  ASSERT_EQ(DenseSteps(spec), 2);
  EXPECT_EQ(DigestAfterThreeSteps(true), DigestAfterThreeSteps(false));
}

TEST_F(WarmUpTest, ShowsSignsOfLife) {
  *assignment.mutable_spec() = spec;
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto job, OpenJob(assignment, "w-0", kCheckFirstBytes, [] {}));
  int signs = 0;
  EXPECT_OK(WarmUp(*job, RealClock(), [&] { ++signs; }));
  EXPECT_EQ(signs, 2);
}

}  // namespace
}  // namespace lory::train
