#include "worker/daemon/status_change.h"

#include "gtest/gtest.h"

namespace lory::daemon {
namespace {

using ::lory::v1::TrainerStatus;

TrainerStatus Training(int64_t applied_step) {
  TrainerStatus status;
  status.set_phase(TrainerStatus::TRAINING);
  status.set_generation(3);
  status.set_applied_step(applied_step);
  status.mutable_progress()->set_step(applied_step);
  status.set_micro_batch_seconds(0.01 * static_cast<double>(applied_step));
  return status;
}

TEST(StatusChangeTest, StepsAreProgress) {
  EXPECT_TRUE(OnlyProgressDiffers(Training(1), Training(7)));
  EXPECT_TRUE(OnlyProgressDiffers(Training(1), Training(1)));
}

TEST(StatusChangeTest, WhatDecisionsHangOnIsMore) {
  TrainerStatus after = Training(2);
  after.set_phase(TrainerStatus::FINISHED);
  EXPECT_FALSE(OnlyProgressDiffers(Training(1), after));
  after = Training(2);
  after.set_generation(4);
  EXPECT_FALSE(OnlyProgressDiffers(Training(1), after));
  after = Training(2);
  after.mutable_round()->set_id(1);
  EXPECT_FALSE(OnlyProgressDiffers(Training(1), after));
  after = Training(2);
  after.set_error("checkpoint of step 2: no space left");
  EXPECT_FALSE(OnlyProgressDiffers(Training(1), after));
  after = Training(2);
  after.set_checkpoint_order(1);
  EXPECT_FALSE(OnlyProgressDiffers(Training(1), after));
}

}  // namespace
}  // namespace lory::daemon
