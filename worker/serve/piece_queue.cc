#include "worker/serve/piece_queue.h"

#include <utility>

namespace lory::serve {

std::optional<PieceQueue::Entry> PieceQueue::Next(absl::Duration patience) {
  const MutexLock lock(&mutex_);
  while (entries_.empty()) {
    if (!changed_.WaitFor(&mutex_, patience)) break;
  }
  if (entries_.empty()) return std::nullopt;
  Entry entry = std::move(entries_.front());
  entries_.pop_front();
  return entry;
}

void PieceQueue::Push(size_t index, absl::StatusOr<GenerationPiece> piece) {
  const MutexLock lock(&mutex_);
  entries_.push_back({index, std::move(piece)});
  changed_.NotifyAll();
}

}  // namespace lory::serve
