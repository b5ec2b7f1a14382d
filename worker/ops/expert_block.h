#ifndef LORY_WORKER_OPS_EXPERT_BLOCK_H_
#define LORY_WORKER_OPS_EXPERT_BLOCK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "worker/ops/expert_mix_kernel.h"
#include "worker/ops/panel_layout.h"

// A block of one matrix of every expert, as the passes of MergedFeedForward
// work with it. T is float or double.
namespace lory::ops {

// One matrix of every expert: E times rows x columns, contiguous.
template <typename T>
struct ExpertMatrix {
  T* data;
  int64_t rows;
  int64_t columns;
};

// Which part of such a matrix.
struct BlockRange {
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;

  // Columns filled up to whole strips: how far merged rows are apart.
  template <typename T>
  int64_t Stride() const {
    return PanelCount(columns, PanelWidth<T>()) * PanelWidth<T>();
  }
  template <typename T>
  int64_t Size() const {
    return rows * Stride<T>();
  }
};

// Gathers block `range` of `experts` into `strips`, E * Size numbers.
template <typename T>
void Gather(const ExpertMatrix<const T>& experts, const BlockRange& range,
            int64_t expert_count, T* strips) {
  GatherExperts<T>({range.rows, range.columns, expert_count,
                    experts.data + range.row * experts.columns + range.column,
                    experts.rows * experts.columns, experts.columns, strips});
}

// And back; added to what is there if `accumulate`.
template <typename T>
void Scatter(const T* strips, const BlockRange& range, int64_t expert_count,
             const ExpertMatrix<T>& experts, bool accumulate) {
  ScatterExperts<T>({range.rows, range.columns, expert_count, strips,
                     experts.data + range.row * experts.columns + range.column,
                     experts.rows * experts.columns, experts.columns,
                     accumulate});
}

// Merges gathered strips for `count` segments from `first` into count * Size
// numbers.
template <typename T>
void Merge(const T* strips, const BlockRange& range, int64_t expert_count,
           const T* routing_SE, int64_t first, int64_t count, T* merged) {
  MergeExperts<T>({range.Size<T>() / PanelWidth<T>(), expert_count, strips,
                   count, routing_SE + first * expert_count, merged});
}

// `count` numbers for the calling task to work with, aligned to cache lines:
// one piece of memory for each thread and kTag, kept between calls, because
// mapping it anew would cost more than a small layer.
template <typename T, int kTag = 0>
T* Scratch(int64_t count) {
  struct Piece {
    std::unique_ptr<std::byte[]> bytes;
    size_t size = 0;
  };
  static thread_local Piece piece;
  constexpr size_t kLine = 64;
  const size_t needed = static_cast<size_t>(count) * sizeof(T) + kLine;
  if (piece.size < needed) {
    piece.bytes = std::make_unique_for_overwrite<std::byte[]>(needed);
    piece.size = needed;
  }
  const auto address = reinterpret_cast<uintptr_t>(piece.bytes.get());
  return reinterpret_cast<T*>((address + kLine - 1) / kLine * kLine);
}

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_EXPERT_BLOCK_H_
