#include "worker/train/training_state.h"

#include <ATen/core/Tensor.h>

#include <set>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/collective/ranks.h"
#include "tests/unit/worker/train/fleet.h"
#include "worker/collective/in_process_transport.h"
#include "worker/train/state_sync.h"

namespace lory::train {
namespace {

TEST(TrainingState, BeginsAloneAndEqualOnEveryRank) {
  const lory::v1::JobSpec spec = TinySpec(10);
  LORY_ASSERT_OK_AND_ASSIGN(const TrainingState a, InitialState(spec));
  LORY_ASSERT_OK_AND_ASSIGN(const TrainingState b, InitialState(spec));
  EXPECT_EQ(DigestOf(a), DigestOf(b));
}

TEST(TrainingState, TheDigestCoversAllOfIt) {
  LORY_ASSERT_OK_AND_ASSIGN(TrainingState state, InitialState(TinySpec(10)));
  std::set<std::string> digests = {DigestOf(state)};
  const auto expect_new = [&] {
    EXPECT_TRUE(digests.insert(DigestOf(state)).second);
  };
  const auto touch = [](const at::Tensor& tensor) {
    tensor.mutable_data_ptr<float>()[tensor.numel() / 2] += 1;
  };
  touch(state.model->parameters().flat_values());
  expect_new();
  touch(state.optimizer->first_moment());
  expect_new();
  touch(state.optimizer->second_moment());
  expect_new();
  state.optimizer->set_step_count(1);
  expect_new();
  state.step = 1;
  expect_new();
  state.chain[31] = 'x';
  expect_new();
  state.nonfinite_in_row = 1;
  expect_new();
}

TEST(TrainingState, BecomesExpertsAfterTheLastDenseStep) {
  lory::v1::JobSpec spec = TinySpec(10);
  spec.mutable_model()
      ->mutable_feed_forward()
      ->mutable_lory()
      ->set_dense_fraction(0.3);
  ASSERT_EQ(DenseSteps(spec), 3);
  LORY_ASSERT_OK_AND_ASSIGN(TrainingState state, InitialState(spec));
  EXPECT_TRUE(state.model->is_dense_phase());
  state.step = 2;
  ASSERT_OK(UpcycleIfDue(spec, state));
  EXPECT_TRUE(state.model->is_dense_phase());
  state.step = 3;
  ASSERT_OK(UpcycleIfDue(spec, state));
  EXPECT_FALSE(state.model->is_dense_phase());
  // A blank state of each step has the shapes of that step.
  for (const int64_t step : {2, 3}) {
    LORY_ASSERT_OK_AND_ASSIGN(const TrainingState blank,
                              BlankState(spec, step));
    EXPECT_EQ(blank.model->is_dense_phase(), step == 2);
  }
}

TEST(SyncState, EveryoneEndsWithTheSourcesState) {
  lory::v1::JobSpec spec = TinySpec(10);
  spec.mutable_model()
      ->mutable_feed_forward()
      ->mutable_lory()
      ->set_dense_fraction(0.5);
  lory::collective::InProcessTransport transport;
  lory::collective::Ranks ranks(transport, 3);
  std::vector<std::string> digests(3);
  ranks.Run([&](std::unique_ptr<lory::collective::Communicator> peers) {
    std::optional<TrainingState> state;
    if (peers->rank() == 1) {
      state = *InitialState(spec);  // then five dense steps, and experts
      state->step = 5;
      state->chain = std::string(32, 'c');
      ASSERT_OK(UpcycleIfDue(spec, *state));
    } else if (peers->rank() == 2) {
      state = *InitialState(spec);  // behind, and still dense
    }
    ASSERT_OK(SyncState(*peers, 1, spec, state));
    EXPECT_EQ(state->step, 5);
    EXPECT_EQ(state->chain, std::string(32, 'c'));
    EXPECT_FALSE(state->model->is_dense_phase());
    digests[peers->rank()] = DigestOf(*state);
  });
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_EQ(digests[2], digests[1]);
}

TEST(SyncState, ASourceWithoutAStateIsFoundOut) {
  lory::collective::InProcessTransport transport;
  lory::collective::Ranks ranks(transport, 2);
  ranks.Run([&](std::unique_ptr<lory::collective::Communicator> peers) {
    std::optional<TrainingState> state;
    EXPECT_THAT(
        SyncState(*peers, 0, TinySpec(10), state),
        lory::testing::StatusIs(absl::StatusCode::kUnavailable,
                                ::testing::HasSubstr("rank 0 holds no state")));
  });
}

}  // namespace
}  // namespace lory::train
