#ifndef LORY_WORKER_TRAIN_CONTROL_CLIENT_H_
#define LORY_WORKER_TRAIN_CONTROL_CLIENT_H_

#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "lory/internal/v1/trainer.grpc.pb.h"
#include "worker/train/control_board.h"

namespace lory::train {

// Carries orders from the daemon to the board and the status from the board to
// the daemon, in a thread of its own. A stream that ends is opened again for as
// long as the client lives: the daemon ends a trainer by a signal, not by
// hanging up. The only file of the trainer that speaks gRPC.
class ControlClient {
 public:
  // `address` is unix:path of the daemon's TrainerService. Board and clock must
  // outlive the client. Errors as rpc::OpenChannel.
  static absl::StatusOr<std::unique_ptr<ControlClient>> Start(
      const std::string& address, ControlBoard& board, Clock& clock);

 private:
  ControlClient(std::unique_ptr<lory::internal::v1::TrainerService::Stub> stub,
                ControlBoard& board, Clock& clock);

  void Run(std::stop_token stop);
  // One stream, until it ends. False: the daemon does not know this trainer
  // and never will.
  bool Attend(const std::stop_token& stop);

  const std::unique_ptr<lory::internal::v1::TrainerService::Stub> stub_;
  ControlBoard& board_;
  Clock& clock_;
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_CONTROL_CLIENT_H_
