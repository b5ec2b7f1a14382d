#include "worker/serve/generation.h"

#include <utility>

namespace lory::serve {

std::optional<absl::StatusOr<GenerationPiece>> Generation::Next(
    absl::Duration patience) {
  const MutexLock lock(&mutex_);
  while (pieces_.empty()) {
    if (!changed_.WaitFor(&mutex_, patience)) break;
  }
  if (pieces_.empty()) return std::nullopt;
  absl::StatusOr<GenerationPiece> piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

void Generation::Push(absl::StatusOr<GenerationPiece> piece) {
  const MutexLock lock(&mutex_);
  pieces_.push_back(std::move(piece));
  changed_.NotifyAll();
}

}  // namespace lory::serve
