#ifndef LORY_WORKER_SERVE_REQUEST_CHECK_H_
#define LORY_WORKER_SERVE_REQUEST_CHECK_H_

#include "absl/status/status.h"
#include "common/config/model_shape.h"
#include "worker/serve/generation.h"

namespace lory::serve {

inline constexpr int64_t kMaxStops = 16;
inline constexpr int64_t kMaxTopCount = 20;

// Whether the model can do what is asked. INVALID_ARGUMENT names every field
// that is wrong, as gRPC and HTTP both call it.
// `request.routed_count` is set.
absl::Status CheckRequest(const GenerationRequest& request,
                          const lory::config::ModelShape& shape);

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_REQUEST_CHECK_H_
