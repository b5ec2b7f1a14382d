#ifndef LORY_WORKER_SERVE_GENERATION_H_
#define LORY_WORKER_SERVE_GENERATION_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/serve/generation_request.h"
#include "worker/serve/piece_queue.h"

namespace lory::serve {

// A request on its way: between whoever asked, who takes pieces, and the
// engine, which makes them. Thread-safe.
class Generation {
 public:
  // Its pieces go to `pieces`, as those of generation `index`. Null: to a queue
  // of its own.
  explicit Generation(GenerationRequest asked,
                      std::shared_ptr<PieceQueue> pieces = nullptr,
                      size_t index = 0)
      : request(std::move(asked)),
        pieces_(pieces != nullptr ? std::move(pieces)
                                  : std::make_shared<PieceQueue>()),
        index_(index) {}

  const GenerationRequest request;

  // ---- for who asked ----

  // The next piece of a generation whose queue is its own; nothing: none came
  // within `patience`. After a piece that finishes, or an error, there are no
  // more.
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
  const std::shared_ptr<PieceQueue> pieces_;
  const size_t index_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_GENERATION_H_
