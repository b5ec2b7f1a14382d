#include "worker/ops/merged_feed_forward_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "worker/ops/blas.h"
#include "worker/ops/expert_mix.h"
#include "worker/ops/swiglu_kernel.h"

// How the work is cut. A task owns a block of rows (or of columns) of one
// matrix of all experts, small enough that the experts' blocks lie in the
// second-level cache together, and goes through all segments with it, a group
// at a time: merge the block for the group, use it, forget it. Experts are thus
// read from memory once a pass, and merged weights never leave the cache.
namespace lory::ops {
namespace {

// Segments merged together: enough to use a loaded expert block several times,
// few enough that their merged blocks fit beside it.
constexpr int64_t kGroup = 8;
// Bytes of one expert's block.
constexpr int64_t kBlockBytes = 32 * 1024;

// Memory for the calling task; one piece for each thread, kept between calls
// because mapping it anew would cost more than a small layer.
template <typename T>
T* Scratch(int64_t count) {
  struct Piece {
    std::unique_ptr<std::byte[]> bytes;
    size_t size = 0;
  };
  static thread_local Piece piece;
  constexpr size_t kLine = 64;
  const size_t needed = count * sizeof(T) + kLine;
  if (piece.size < needed) {
    piece.bytes = std::make_unique_for_overwrite<std::byte[]>(needed);
    piece.size = needed;
  }
  const auto address = reinterpret_cast<uintptr_t>(piece.bytes.get());
  return reinterpret_cast<T*>((address + kLine - 1) / kLine * kLine);
}

// Length of a block along a dimension whose other side is `other` numbers.
template <typename T>
int64_t BlockLength(int64_t other) {
  const int64_t fitting = kBlockBytes / static_cast<int64_t>(sizeof(T)) / other;
  return std::clamp<int64_t>(fitting / 16 * 16, 16, 64);
}

int64_t BlockCount(int64_t length, int64_t block) {
  return (length + block - 1) / block;
}

// Calls body(task, begin, end) for each block of `length`.
template <typename Body>
void ForBlocks(int64_t length, int64_t block, const Body& body) {
  at::parallel_for(
      0, BlockCount(length, block), 1, [&](int64_t first, int64_t last) {
        for (int64_t task = first; task < last; ++task) {
          body(task, task * block, std::min(length, (task + 1) * block));
        }
      });
}

// Calls body(first, count) for each group of segments.
template <typename Body>
void ForGroups(int64_t segments, const Body& body) {
  for (int64_t first = 0; first < segments; first += kGroup) {
    body(first, std::min(kGroup, segments - first));
  }
}

// One matrix of every expert: E times rows x columns.
template <typename T>
struct ExpertMatrix {
  T* data;
  int64_t rows;
  int64_t columns;

  BlockSet<T> Block(int64_t row, int64_t column) const {
    return {data + row * columns + column, rows * columns, columns};
  }
};

template <typename T>
class Merger {
 public:
  Merger(const MergedSizes& sizes, const T* routing_SE)
      : sizes_(sizes), routing_SE_(routing_SE) {}

  // The block at (row, column) of `experts`, merged for segments `first` to
  // first + count: `count` matrices of rows x columns in `merged`.
  void Merge(const ExpertMatrix<const T>& experts, int64_t row, int64_t column,
             int64_t rows, int64_t columns, int64_t first, int64_t count,
             T* merged) const {
    MixArguments<T> mix = {rows,
                           columns,
                           sizes_.E,
                           experts.Block(row, column),
                           count,
                           {merged, rows * columns, columns},
                           routing_SE_ + first * sizes_.E,
                           sizes_.E,
                           1,
                           /*accumulate=*/false};
    if (columns == experts.columns) {  // contiguous: one long row
      mix.rows = 1;
      mix.columns = rows * columns;
    }
    MixBlocks(mix);
  }

 private:
  const MergedSizes sizes_;
  const T* const routing_SE_;
};

template <typename T>
void InnerForward(const MergedSizes& sizes, const MergedInputs<T>& inputs,
                  const MergedForwardOutputs<T>& outputs, T* inner_STF) {
  const auto [S, tokens, D, F, E] = sizes;
  const Merger<T> merger(sizes, inputs.routing_SE);
  const int64_t block = BlockLength<T>(D);
  ForBlocks(F, block, [&](int64_t, int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    T* const merged = Scratch<T>(kGroup * rows * D);
    ForGroups(S, [&](int64_t first, int64_t count) {
      const auto project = [&](const T* experts, T* out_STF) {
        merger.Merge({experts, F, D}, begin, 0, rows, D, first, count, merged);
        for (int64_t s = 0; s < count; ++s) {
          const int64_t token = (first + s) * tokens;
          Gemm(Transpose::kNo, Transpose::kYes, tokens, rows, D,
               {inputs.hidden_STD + token * D, D}, {merged + s * rows * D, D},
               T{0}, {out_STF + token * F + begin, F});
        }
      };
      project(inputs.gate_EFD, outputs.gate_STF);
      project(inputs.up_EFD, outputs.up_STF);
      const int64_t at = first * tokens * F + begin;
      SwigluRows<T>({count * tokens, rows, F, outputs.gate_STF + at,
                     outputs.up_STF + at, inner_STF + at});
    });
  });
}

template <typename T>
void OuterForward(const MergedSizes& sizes, const MergedInputs<T>& inputs,
                  const T* inner_STF, T* out_STD) {
  const auto [S, tokens, D, F, E] = sizes;
  const Merger<T> merger(sizes, inputs.routing_SE);
  ForBlocks(D, BlockLength<T>(F), [&](int64_t, int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    T* const merged = Scratch<T>(kGroup * rows * F);
    ForGroups(S, [&](int64_t first, int64_t count) {
      merger.Merge({inputs.down_EDF, D, F}, begin, 0, rows, F, first, count,
                   merged);
      for (int64_t s = 0; s < count; ++s) {
        const int64_t token = (first + s) * tokens;
        Gemm(Transpose::kNo, Transpose::kYes, tokens, rows, F,
             {inner_STF + token * F, F}, {merged + s * rows * F, F}, T{0},
             {out_STD + token * D + begin, D});
      }
    });
  });
}

// Gradients of gate and up activations from that of the output, and the inner
// activation once more.
template <typename T>
void InnerBackward(const MergedSizes& sizes,
                   const MergedBackwardInputs<T>& inputs, T* to_gate_STF,
                   T* to_up_STF, T* inner_STF) {
  const auto [S, tokens, D, F, E] = sizes;
  const Merger<T> merger(sizes, inputs.forward.routing_SE);
  ForBlocks(F, BlockLength<T>(D), [&](int64_t, int64_t begin, int64_t end) {
    const int64_t columns = end - begin;
    T* const merged = Scratch<T>((kGroup * D + tokens) * columns);
    T* const to_inner = merged + kGroup * D * columns;
    ForGroups(S, [&](int64_t first, int64_t count) {
      merger.Merge({inputs.forward.down_EDF, D, F}, 0, begin, D, columns, first,
                   count, merged);
      for (int64_t s = 0; s < count; ++s) {
        const int64_t token = (first + s) * tokens;
        Gemm(Transpose::kNo, Transpose::kNo, tokens, columns, D,
             {inputs.gradient_out_STD + token * D, D},
             {merged + s * D * columns, columns}, T{0}, {to_inner, columns});
        const int64_t at = token * F + begin;
        SwigluGradientRows<T>({tokens, columns, F, inputs.gate_STF + at,
                               inputs.up_STF + at, to_inner, columns,
                               to_gate_STF + at, to_up_STF + at,
                               inner_STF + at});
      }
    });
  });
}

// Gradient of the input: to_gate times merged gate plus to_up times merged up.
template <typename T>
void HiddenBackward(const MergedSizes& sizes, const MergedInputs<T>& inputs,
                    const T* to_gate_STF, const T* to_up_STF,
                    T* to_hidden_STD) {
  const auto [S, tokens, D, F, E] = sizes;
  const Merger<T> merger(sizes, inputs.routing_SE);
  constexpr int64_t kColumns = 64;
  const int64_t depth = BlockLength<T>(kColumns) * 2;
  ForBlocks(D, kColumns, [&](int64_t, int64_t begin, int64_t end) {
    const int64_t columns = end - begin;
    T* const merged = Scratch<T>(kGroup * depth * columns);
    const auto add = [&](const T* experts, const T* to_inner_STF,
                         bool is_first) {
      for (int64_t row = 0; row < F; row += depth) {
        const int64_t rows = std::min(depth, F - row);
        const T beta = is_first && row == 0 ? 0 : 1;
        ForGroups(S, [&](int64_t first, int64_t count) {
          merger.Merge({experts, F, D}, row, begin, rows, columns, first, count,
                       merged);
          for (int64_t s = 0; s < count; ++s) {
            const int64_t token = (first + s) * tokens;
            Gemm(Transpose::kNo, Transpose::kNo, tokens, columns, rows,
                 {to_inner_STF + token * F + row, F},
                 {merged + s * rows * columns, columns}, beta,
                 {to_hidden_STD + token * D + begin, D});
          }
        });
      }
    };
    add(inputs.gate_EFD, to_gate_STF, true);
    add(inputs.up_EFD, to_up_STF, false);
  });
}

// Gradients of one expert matrix [E, rows, columns], whose merged form maps
// input_STC (C columns) to an output with gradient to_output_STR: each
// segment's merged gradient, a block at a time, is spread over the experts and
// multiplied with them.
template <typename T>
void WeightBackward(const MergedSizes& sizes, const T* routing_SE,
                    const ExpertMatrix<const T>& experts, const T* input_STC,
                    const T* to_output_STR, T* to_experts,
                    std::vector<double>& to_routing_SE) {
  const int64_t tokens = sizes.T;
  const int64_t columns = experts.columns;
  const int64_t block = BlockLength<T>(columns);
  const int64_t cell_count = sizes.S * sizes.E;
  // A sum for each block, added in their order afterwards.
  std::vector<T> products(BlockCount(experts.rows, block) * cell_count);
  ForBlocks(experts.rows, block, [&](int64_t task, int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    const int64_t size = rows * columns;
    T* const merged = Scratch<T>(kGroup * size);
    const ExpertMatrix<T> targets = {to_experts, experts.rows, columns};
    ForGroups(sizes.S, [&](int64_t first, int64_t count) {
      for (int64_t s = 0; s < count; ++s) {
        const int64_t token = (first + s) * tokens;
        Gemm(Transpose::kYes, Transpose::kNo, rows, columns, tokens,
             {to_output_STR + token * experts.rows + begin, experts.rows},
             {input_STC + token * columns, columns}, T{0},
             {merged + s * size, columns});
      }
      MixBlocks<T>({1,
                    size,
                    count,
                    {merged, size, 0},
                    sizes.E,
                    targets.Block(begin, 0),
                    routing_SE + first * sizes.E,
                    1,
                    sizes.E,
                    /*accumulate=*/first > 0});
      InnerProducts<T>({1,
                        size,
                        count,
                        {merged, size, 0},
                        sizes.E,
                        experts.Block(begin, 0),
                        &products[task * cell_count + first * sizes.E],
                        sizes.E});
    });
  });
  for (size_t i = 0; i < products.size(); ++i) {
    to_routing_SE[i % cell_count] += products[i];
  }
}

}  // namespace

template <typename T>
void MergedForward(const MergedSizes& sizes, const MergedInputs<T>& inputs,
                   const MergedForwardOutputs<T>& outputs) {
  const auto inner_STF =
      std::make_unique_for_overwrite<T[]>(sizes.S * sizes.T * sizes.F);
  InnerForward(sizes, inputs, outputs, inner_STF.get());
  OuterForward(sizes, inputs, inner_STF.get(), outputs.out_STD);
}

template <typename T>
void MergedBackward(const MergedSizes& sizes,
                    const MergedBackwardInputs<T>& inputs,
                    const MergedGradients<T>& gradients) {
  const auto [S, tokens, D, F, E] = sizes;
  const MergedInputs<T>& forward = inputs.forward;
  const int64_t count = S * tokens * F;
  const auto buffer = std::make_unique_for_overwrite<T[]>(3 * count);
  T* const to_gate_STF = buffer.get();
  T* const to_up_STF = to_gate_STF + count;
  T* const inner_STF = to_up_STF + count;
  InnerBackward(sizes, inputs, to_gate_STF, to_up_STF, inner_STF);

  std::vector<double> to_routing_SE(S * E);
  WeightBackward<T>(sizes, forward.routing_SE, {forward.down_EDF, D, F},
                    inner_STF, inputs.gradient_out_STD, gradients.down_EDF,
                    to_routing_SE);
  WeightBackward<T>(sizes, forward.routing_SE, {forward.gate_EFD, F, D},
                    forward.hidden_STD, to_gate_STF, gradients.gate_EFD,
                    to_routing_SE);
  WeightBackward<T>(sizes, forward.routing_SE, {forward.up_EFD, F, D},
                    forward.hidden_STD, to_up_STF, gradients.up_EFD,
                    to_routing_SE);
  std::copy(to_routing_SE.begin(), to_routing_SE.end(), gradients.routing_SE);
  HiddenBackward(sizes, forward, to_gate_STF, to_up_STF, gradients.hidden_STD);
}

template void MergedForward<float>(const MergedSizes&,
                                   const MergedInputs<float>&,
                                   const MergedForwardOutputs<float>&);
template void MergedForward<double>(const MergedSizes&,
                                    const MergedInputs<double>&,
                                    const MergedForwardOutputs<double>&);
template void MergedBackward<float>(const MergedSizes&,
                                    const MergedBackwardInputs<float>&,
                                    const MergedGradients<float>&);
template void MergedBackward<double>(const MergedSizes&,
                                     const MergedBackwardInputs<double>&,
                                     const MergedGradients<double>&);

}  // namespace lory::ops
