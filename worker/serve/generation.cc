#include "worker/serve/generation.h"

namespace lory::serve {

std::optional<absl::StatusOr<GenerationPiece>> Generation::Next(
    absl::Duration patience) {
  std::optional<PieceQueue::Entry> entry = pieces_->Next(patience);
  if (!entry) return std::nullopt;
  return std::move(entry->piece);
}

void Generation::Push(absl::StatusOr<GenerationPiece> piece) {
  pieces_->Push(index_, std::move(piece));
}

}  // namespace lory::serve
