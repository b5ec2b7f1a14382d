#include "worker/daemon/status_change.h"

#include "google/protobuf/util/message_differencer.h"

namespace lory::daemon {
namespace {

using ::lory::v1::TrainerStatus;

TrainerStatus WithoutProgress(TrainerStatus status) {
  status.clear_applied_step();
  status.clear_progress();
  status.clear_micro_batch_seconds();
  status.clear_checkpoint_stall_seconds();
  return status;
}

}  // namespace

bool OnlyProgressDiffers(const TrainerStatus& before,
                         const TrainerStatus& after) {
  return google::protobuf::util::MessageDifferencer::Equals(
      WithoutProgress(before), WithoutProgress(after));
}

}  // namespace lory::daemon
