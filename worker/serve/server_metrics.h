#ifndef LORY_WORKER_SERVE_SERVER_METRICS_H_
#define LORY_WORKER_SERVE_SERVER_METRICS_H_

#include <string>

#include "absl/status/status.h"
#include "common/metrics/metrics.h"
#include "worker/serve/engine.h"

namespace lory::serve {

// Every metric of lory-server. Thread-safe, but Stepped is the engine's.
class ServerMetrics final : public EngineObserver {
 public:
  ServerMetrics();

  // ---- EngineObserver ----
  void PromptRead(int64_t tokens, absl::Duration since_asked) override;
  void TokensMade(int64_t count) override;
  void Stepped(const State& state) override;

  // A request was answered: by a method of InferenceService, or "completions".
  void Answered(const std::string& method, absl::StatusCode code,
                absl::Duration took);

  // The page at /metrics.
  std::string Serialize() const { return registry_.Serialize(); }

 private:
  metrics::Registry registry_;
  MergedCache::Stats merged_;  // when last heard of
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_SERVER_METRICS_H_
