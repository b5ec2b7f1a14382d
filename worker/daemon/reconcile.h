#ifndef LORY_WORKER_DAEMON_RECONCILE_H_
#define LORY_WORKER_DAEMON_RECONCILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lory/v1/worker.pb.h"

// Decides what makes a host's trainers be what the coordinator wants.
//
// Pure: starts and stops nothing, so every case is a row in a table test.
namespace lory::daemon {

// A trainer as far as the decision goes.
struct TrainerView {
  int32_t slot = 0;
  std::string job;
  std::string incarnation;
  bool ending = false;              // was told to end already
  int64_t prepared_generation = 0;  // newest one it answered PREPARED for
};

struct Action {
  enum class Kind {
    kStart,  // start a trainer for `assignment`
    kStop,   // end trainer `incarnation`
    kOrder,  // tell trainer `incarnation` to do `assignment`
  };
  Kind kind = Kind::kStart;
  int32_t slot = 0;
  std::string incarnation;          // kStop, kOrder
  lory::v1::Assignment assignment;  // kStart, kOrder
};

// In order of slots; at most one action a slot, for a slot must be empty
// before its next trainer starts. Slots at or beyond `slot_count` do not
// exist and are left out.
//
// A trainer is never told to RUN a generation it has not prepared: that order
// was for the process before it. It is told to stand by instead.
std::vector<Action> Reconcile(const lory::v1::DesiredState& desired,
                              const std::vector<TrainerView>& trainers,
                              int32_t slot_count);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_RECONCILE_H_
