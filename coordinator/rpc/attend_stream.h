#ifndef LORY_COORDINATOR_RPC_ATTEND_STREAM_H_
#define LORY_COORDINATOR_RPC_ATTEND_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <optional>

#include "common/base/mutex.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/rpc/call.h"
#include "lory/v1/worker.pb.h"

namespace lory::coordinator {

// One daemon's Attend stream: what it says goes to the coordinator, what the
// coordinator sends is written in order. Owned by itself: gRPC ends it with
// OnDone, the coordinator may hold on to it as a Sink a moment longer.
class AttendStream final
    : public grpc::ServerBidiReactor<lory::v1::AttendRequest,
                                     lory::v1::AttendResponse>,
      public Sink {
 public:
  // The reactor of a new stream. `observer` may be null.
  static AttendStream* Start(Coordinator& coordinator, CallObserver* observer);

  // ---- Sink ----
  // Of several desired states that wait to be written only the newest is.
  void Send(lory::v1::AttendResponse response) override;
  void Close(absl::Status status) override;

  // ---- reactor ----
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  AttendStream(Coordinator& coordinator, CallObserver* observer)
      : coordinator_(coordinator), observer_(observer) {}

  void Attach();
  void Break(absl::string_view reason);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishOnce(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Coordinator& coordinator_;
  CallObserver* const observer_;
  lory::v1::AttendRequest incoming_;    // of the read under way
  std::shared_ptr<AttendStream> self_;  // until OnDone

  // Never held while the coordinator is called: it calls Send under its lock.
  Mutex mutex_;
  int64_t stream_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: not attached
  std::deque<lory::v1::AttendResponse> queue_ ABSL_GUARDED_BY(mutex_);
  lory::v1::AttendResponse outgoing_;  // of the write under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> closing_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_ATTEND_STREAM_H_
