#ifndef LORY_WORKER_DAEMON_COORDINATOR_SESSION_H_
#define LORY_WORKER_DAEMON_COORDINATOR_SESSION_H_

#include <functional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "lory/v1/worker.grpc.pb.h"
#include "worker/daemon/trainer_table.h"

namespace lory::daemon {

// The daemon's stream to the coordinator, opened again and again for as long
// as the daemon lives. Trainers do not notice an outage.
class CoordinatorSession {
 public:
  // What is known of the connection.
  struct State {
    bool attached = false;
    std::string trouble;          // why not attached
    absl::Time last_heard_wall;   // last message of the coordinator
    int64_t reconnect_count = 0;  // streams after the first one
  };

  CoordinatorSession(lory::v1::WorkerService::StubInterface& coordinator,
                     TrainerTable& table, Clock& clock);

  // Attends until Leave, until `stop` is requested (both OK), or until the
  // coordinator says something that trying again does not mend:
  //
  // ALREADY_EXISTS: another daemon has this name. INVALID_ARGUMENT: the
  // coordinator does not take this hello.
  absl::Status Run(const lory::v1::WorkerHello& hello, std::stop_token stop);

  // Has Run send what is left to tell, close the stream and return. May take
  // as long as the coordinator likes; `stop` cuts it short.
  void Leave();

  State state() const;

 private:
  using Stream = grpc::ClientReaderWriterInterface<lory::v1::AttendRequest,
                                                   lory::v1::AttendResponse>;

  // One stream from hello to end; says how it ended.
  absl::Status AttendOnce(const lory::v1::WorkerHello& hello,
                          std::stop_token stop);
  void ReadAll(Stream* stream);
  void WriteAll(const lory::v1::WorkerHello& hello, std::stop_token stop,
                Stream* stream);
  // Blocks until the stream has ended.
  void AwaitEnd(std::stop_token stop, absl::Duration limit);
  lory::v1::AttendRequest MakeRequest(int64_t* version) const;
  void Detached(const absl::Status& why);
  // Pauses; false: the end was asked for.
  bool Pause(std::stop_token stop, absl::Duration pause);

  lory::v1::WorkerService::StubInterface& coordinator_;
  TrainerTable& table_;
  Clock& clock_;

  mutable Mutex mutex_;
  CondVar stopped_;
  State state_ ABSL_GUARDED_BY(mutex_);
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the stream that is open.
  bool stream_ended_ ABSL_GUARDED_BY(mutex_) = true;
  int64_t desired_version_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration heartbeat_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1);
};

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_COORDINATOR_SESSION_H_
