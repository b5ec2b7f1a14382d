#ifndef LORY_COORDINATOR_RPC_CALL_H_
#define LORY_COORDINATOR_RPC_CALL_H_

#include <grpcpp/support/status.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::coordinator {

// Hears of every call that was answered, for metrics. Thread-safe.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void Answered(absl::string_view method, grpc::StatusCode code) = 0;
};

// Status of an answered call on the wire, counted; nobody: not counted.
grpc::Status Finish(CallObserver* observer, absl::string_view method,
                    const absl::Status& status);

// The same for a call with an answer.
template <typename T>
grpc::Status Finish(CallObserver* observer, absl::string_view method,
                    absl::StatusOr<T> answer, T* response) {
  if (answer.ok()) *response = *std::move(answer);
  return Finish(observer, method, answer.status());
}

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_CALL_H_
