#ifndef LORY_WORKER_SERVE_PIECE_QUEUE_H_
#define LORY_WORKER_SERVE_PIECE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "worker/serve/decoder.h"
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

// Pieces of one generation, or of several that one reader waits for together,
// in the order they are made. Shared by these and the reader. Thread-safe.
class PieceQueue {
 public:
  struct Entry {
    size_t index = 0;  // of the generation, as it was submitted
    absl::StatusOr<GenerationPiece> piece;
  };

  // The next piece of any; nothing: none came within `patience`.
  std::optional<Entry> Next(absl::Duration patience);

  void Push(size_t index, absl::StatusOr<GenerationPiece> piece);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_PIECE_QUEUE_H_
