#ifndef LORY_WORKER_DAEMON_STATUS_CHANGE_H_
#define LORY_WORKER_DAEMON_STATUS_CHANGE_H_

#include "lory/v1/worker.pb.h"

namespace lory::daemon {

// Whether `after` differs from `before` only in how far its training has come:
// steps applied, what they were like, how fast they are. Nobody decides
// anything on the spot because of those.
bool OnlyProgressDiffers(const lory::v1::TrainerStatus& before,
                         const lory::v1::TrainerStatus& after);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_STATUS_CHANGE_H_
