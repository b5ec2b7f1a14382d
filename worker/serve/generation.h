#ifndef LORY_WORKER_SERVE_GENERATION_H_
#define LORY_WORKER_SERVE_GENERATION_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "worker/serve/decoder.h"
#include "worker/serve/generation_request.h"
#include "worker/serve/sampler.h"

namespace lory::serve {

enum class FinishReason { kStop, kLength };

// A piece of the answer.
struct GenerationPiece {
  // Of the first piece: of every token of the prompt but the first.
  std::vector<TokenScore> prompt_scores;
  // Of the first piece: of each layer, what Decoder::RoutingOf tells.
  std::vector<std::vector<Routing>> routing;
  std::vector<int64_t> tokens;         // made since the piece before
  std::vector<TokenScore> scores;      // of those, if asked for
  std::string text;                    // what of their text may be shown
  std::optional<FinishReason> finish;  // in the last piece
};

// A request on its way: between whoever asked, who takes pieces, and the
// engine, which makes them. Thread-safe.
class Generation {
 public:
  explicit Generation(GenerationRequest request)
      : request(std::move(request)) {}

  const GenerationRequest request;

  // ---- for who asked ----

  // The next piece; nothing: none came within `patience`. After a piece that
  // finishes, or an error, there are no more.
  //
  // CANCELLED; DEADLINE_EXCEEDED; RESOURCE_EXHAUSTED: memory; UNAVAILABLE: the
  // server stops; INTERNAL: the model failed.
  std::optional<absl::StatusOr<GenerationPiece>> Next(absl::Duration patience);

  // Ends the work before the next token.
  void Cancel() { cancelled_ = true; }

  // ---- for the engine ----

  bool cancelled() const { return cancelled_; }
  void Push(absl::StatusOr<GenerationPiece> piece);

 private:
  std::atomic<bool> cancelled_ = false;
  Mutex mutex_;
  CondVar changed_;
  std::deque<absl::StatusOr<GenerationPiece>> pieces_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_GENERATION_H_
