#include "worker/ops/merged_feed_forward_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "worker/ops/expert_block.h"
#include "worker/ops/panel_product_kernel.h"
#include "worker/ops/swiglu_kernel.h"

// How the work is cut. A task owns a block of one matrix of all experts and
// goes through all segments with it, a group at a time: merge the block for the
// group, multiply, forget it. Experts are read from memory once a pass; merged
// weights never leave the cache. Activations lie in panels (panel_layout.h),
// the layout in which each product leaves what the next one reads.
//
// Sizes were chosen by tests/bench/feed_forward_bench: blocks of one expert of
// 32 to 100 KB of fp32 beat smaller ones, although those of all experts then
// lie in the third-level cache, because activations are read less often.
namespace lory::ops {
namespace {

// Segments merged together: as many as the merging kernel works on at once.
constexpr int64_t kGroup = 4;
// A block where merged rows become rows of the result, and its depth.
constexpr int64_t kRows = 48;
constexpr int64_t kDepth = 512;
// A block where merged columns do: whole panels, so that they can be turned.
constexpr int64_t kColumns = 64;
constexpr int64_t kColumnDepth = 256;
// A block of weight gradients; beside it lie the weights and their sums.
constexpr int64_t kGradientRows = 48;
constexpr int64_t kGradientColumns = 256;
// Multiplications below which waking threads costs more than it saves.
constexpr int64_t kSerial = 1 << 19;

// Sizes, and what follows from them for one scalar type.
template <typename Scalar>
struct Geometry : MergedSizes {
  explicit Geometry(const MergedSizes& sizes)
      : MergedSizes(sizes),
        width(PanelWidth<Scalar>()),
        panels(PanelCount(sizes.T, width)) {}

  // Numbers of one segment's token panels and column panels.
  int64_t TokenSize(int64_t columns) const { return panels * width * columns; }
  int64_t ColumnSize(int64_t columns) const {
    return panels * width * width * PanelCount(columns, width);
  }

  int64_t width;
  int64_t panels;
};

// Calls body(task, begin, end) for each block of `length`.
template <typename Body>
void ForBlocks(const MergedSizes& sizes, int64_t length, int64_t block,
               const Body& body) {
  const auto run = [&](int64_t first, int64_t last) {
    for (int64_t task = first; task < last; ++task) {
      body(task, task * block, std::min(length, (task + 1) * block));
    }
  };
  const int64_t count = PanelCount(length, block);
  if (sizes.S * sizes.T * sizes.D * sizes.F <= kSerial) return run(0, count);
  at::parallel_for(0, count, 1, run);
}

// Calls body(first, count) for each group of segments.
template <typename Body>
void ForGroups(int64_t segments, const Body& body) {
  for (int64_t first = 0; first < segments; first += kGroup) {
    body(first, std::min(kGroup, segments - first));
  }
}

// to(rows of experts) = merged experts times from: both token panels.
template <typename T>
void MultiplyRows(const Geometry<T>& g, const T* routing_SE,
                  const ExpertMatrix<const T>& experts, int64_t begin,
                  int64_t end, const T* from, T* to) {
  const int64_t C = experts.columns;
  const int64_t R = experts.rows;
  T* const strips = Scratch<T, 0>(g.E * kRows * kDepth);
  T* const merged = Scratch<T, 1>(kGroup * kRows * kDepth);
  for (int64_t column = 0; column < C; column += kDepth) {
    const BlockRange range = {begin, end - begin, column,
                              std::min(kDepth, C - column)};
    Gather(experts, range, g.E, strips);
    ForGroups(g.S, [&](int64_t first, int64_t count) {
      Merge(strips, range, g.E, routing_SE, first, count, merged);
      for (int64_t s = 0; s < count; ++s) {
        PanelProduct<T>(
            {.rows = range.rows,
             .panels = g.panels,
             .chunks = 1,
             .chunk_depth = range.columns,
             .a = merged + s * range.Size<T>(),
             .a_row_stride = range.Stride<T>(),
             .a_depth_stride = 1,
             .a_chunk_stride = 0,
             .b = from + (first + s) * g.TokenSize(C) + column * g.width,
             .b_panel_stride = C * g.width,
             .c = to + (first + s) * g.TokenSize(R) + begin * g.width,
             .c_row_stride = g.width,
             .c_panel_stride = R * g.width,
             .accumulate = column > 0});
      }
    });
  }
}

// to(columns of experts) = merged experts, transposed, times from; added to
// what is there if `accumulate`.
template <typename T>
void MultiplyColumns(const Geometry<T>& g, const T* routing_SE,
                     const ExpertMatrix<const T>& experts, int64_t begin,
                     int64_t end, const T* from, bool accumulate, T* to) {
  const int64_t C = experts.columns;
  const int64_t R = experts.rows;
  T* const strips = Scratch<T, 0>(g.E * kColumnDepth * kColumns);
  T* const merged = Scratch<T, 1>(kGroup * kColumnDepth * kColumns);
  for (int64_t row = 0; row < R; row += kColumnDepth) {
    const BlockRange range = {row, std::min(kColumnDepth, R - row), begin,
                              end - begin};
    Gather(experts, range, g.E, strips);
    ForGroups(g.S, [&](int64_t first, int64_t count) {
      Merge(strips, range, g.E, routing_SE, first, count, merged);
      for (int64_t s = 0; s < count; ++s) {
        PanelProduct<T>(
            {.rows = range.columns,
             .panels = g.panels,
             .chunks = 1,
             .chunk_depth = range.rows,
             .a = merged + s * range.Size<T>(),
             .a_row_stride = 1,
             .a_depth_stride = range.Stride<T>(),
             .a_chunk_stride = 0,
             .b = from + (first + s) * g.TokenSize(R) + row * g.width,
             .b_panel_stride = R * g.width,
             .c = to + (first + s) * g.TokenSize(C) + begin * g.width,
             .c_row_stride = g.width,
             .c_panel_stride = C * g.width,
             .accumulate = accumulate || row > 0});
      }
    });
  }
}

// Gradients of one matrix of the experts, and what it adds to those of the
// routing, from the gradient of its output, in token panels, and its input, in
// column panels: each segment's merged gradient, a block at a time, is spread
// over the experts and multiplied with them.
template <typename T>
class WeightGradient {
 public:
  WeightGradient(const Geometry<T>& g, const T* routing_SE,
                 const ExpertMatrix<const T>& experts,
                 const ExpertMatrix<T>& to_experts, bool accumulate)
      : g_(g),
        routing_SE_(routing_SE),
        experts_(experts),
        to_experts_(to_experts),
        accumulate_(accumulate) {}

  void Run(const T* to_output_panels, const T* input_panels,
           std::vector<double>& to_routing_SE) {
    const int64_t cells = g_.S * g_.E;
    // A sum for each task, added in their order afterwards.
    std::vector<T> sums(PanelCount(experts_.rows, kGradientRows) * cells);
    ForBlocks(g_, experts_.rows, kGradientRows,
              [&](int64_t task, int64_t begin, int64_t end) {
                for (int64_t column = 0; column < experts_.columns;
                     column += kGradientColumns) {
                  Block({begin, end - begin, column,
                         std::min(kGradientColumns, experts_.columns - column)},
                        to_output_panels, input_panels, &sums[task * cells]);
                }
              });
    for (size_t i = 0; i < sums.size(); ++i) {
      to_routing_SE[i % cells] += sums[i];
    }
  }

 private:
  void Block(const BlockRange& range, const T* to_output_panels,
             const T* input_panels, T* to_routing_SE) {
    constexpr int64_t kSize = kGradientRows * kGradientColumns;
    T* const strips = Scratch<T, 0>(g_.E * kSize);
    T* const merged = Scratch<T, 1>(kGroup * kSize);
    T* const gradient_strips = Scratch<T, 2>(g_.E * kSize);
    std::fill_n(gradient_strips, g_.E * range.Size<T>(), T{0});
    Gather(experts_, range, g_.E, strips);
    ForGroups(g_.S, [&](int64_t first, int64_t count) {
      for (int64_t s = 0; s < count; ++s) {
        Multiply(range, first + s, to_output_panels, input_panels,
                 merged + s * range.Size<T>());
      }
      MergeGradient<T>({range.Size<T>() / g_.width, g_.E, strips,
                        gradient_strips, count, routing_SE_ + first * g_.E,
                        merged, to_routing_SE + first * g_.E});
    });
    Scatter(gradient_strips, range, g_.E, to_experts_, accumulate_);
  }

  // One segment's gradient of the merged block.
  void Multiply(const BlockRange& range, int64_t segment,
                const T* to_output_panels, const T* input_panels, T* merged) {
    const int64_t depth = g_.panels * g_.width;
    const int64_t R = experts_.rows;
    PanelProduct<T>({.rows = range.rows,
                     .panels = range.Stride<T>() / g_.width,
                     .chunks = g_.panels,
                     .chunk_depth = g_.width,
                     .a = to_output_panels + segment * g_.TokenSize(R) +
                          range.row * g_.width,
                     .a_row_stride = g_.width,
                     .a_depth_stride = 1,
                     .a_chunk_stride = R * g_.width,
                     .b = input_panels +
                          segment * g_.ColumnSize(experts_.columns) +
                          range.column * depth,
                     .b_panel_stride = depth * g_.width,
                     .c = merged,
                     .c_row_stride = range.Stride<T>(),
                     .c_panel_stride = g_.width,
                     .accumulate = false});
  }

  const Geometry<T>& g_;
  const T* const routing_SE_;
  const ExpertMatrix<const T> experts_;
  const ExpertMatrix<T> to_experts_;
  const bool accumulate_;
};

// Memory for activations, as large as a layer's: kept by each thread that calls
// a pass, which is one.
template <typename T, int kTag>
T* Workspace(int64_t count) {
  return Scratch<T, 16 + kTag>(count);
}

// Gradients of gate and up activations from that of the output, in token
// panels, and the inner activation once more, in column panels.
template <typename T>
void InnerBackward(const Geometry<T>& g, const MergedBackwardInputs<T>& inputs,
                   const T* to_out_panels, T* to_gate_panels, T* to_up_panels,
                   T* inner_columns) {
  const ExpertMatrix<const T> down = {inputs.forward.down_EDF, g.D, g.F};
  ForBlocks(g, g.F, kColumns, [&](int64_t, int64_t begin, int64_t end) {
    // The gradient of the inner activation takes the place that the gate's has
    // a moment later.
    MultiplyColumns(g, inputs.forward.routing_SE, down, begin, end,
                    to_out_panels, /*accumulate=*/false, to_gate_panels);
    T* const inner = Scratch<T, 2>(g.TokenSize(g.F));
    const int64_t columns = (end - begin) * g.width;
    for (int64_t s = 0; s < g.S; ++s) {
      for (int64_t panel = 0; panel < g.panels; ++panel) {
        const int64_t within = (panel * g.F + begin) * g.width;
        const int64_t at = s * g.TokenSize(g.F) + within;
        SwigluGradientRows<T>({1, columns, 0, inputs.gate_panels + at,
                               inputs.up_panels + at, to_gate_panels + at, 0,
                               to_gate_panels + at, to_up_panels + at,
                               inner + within});
      }
      TokenToColumnPanels(inner, g.T, g.F, begin, end,
                          inner_columns + s * g.ColumnSize(g.F));
    }
  });
}

// Gradient of the input: through the merged gates and through the merged ups.
template <typename T>
void HiddenBackward(const Geometry<T>& g, const MergedInputs<T>& inputs,
                    const T* to_gate_panels, const T* to_up_panels,
                    T* to_hidden_STD) {
  T* const panels = Workspace<T, 0>(g.template TokenPanelSize<T>(g.D));
  ForBlocks(g, g.D, kColumns, [&](int64_t, int64_t begin, int64_t end) {
    MultiplyColumns<T>(g, inputs.routing_SE, {inputs.gate_EFD, g.F, g.D}, begin,
                       end, to_gate_panels, /*accumulate=*/false, panels);
    MultiplyColumns<T>(g, inputs.routing_SE, {inputs.up_EFD, g.F, g.D}, begin,
                       end, to_up_panels, /*accumulate=*/true, panels);
  });
  ForBlocks(g, g.S, 1, [&](int64_t s, int64_t, int64_t) {
    UnpackTokenPanels(panels + s * g.TokenSize(g.D), g.T, g.D,
                      to_hidden_STD + s * g.T * g.D);
  });
}

}  // namespace

template <typename T>
void MergedForward(const MergedSizes& sizes, const MergedInputs<T>& inputs,
                   const MergedForwardOutputs<T>& outputs) {
  const Geometry<T> g(sizes);
  T* const hidden = Workspace<T, 0>(sizes.TokenPanelSize<T>(g.D));
  T* const inner = Workspace<T, 1>(sizes.TokenPanelSize<T>(g.F));
  ForBlocks(g, g.S, 1, [&](int64_t s, int64_t, int64_t) {
    PackTokenPanels(inputs.hidden_STD + s * g.T * g.D, g.T, g.D,
                    hidden + s * g.TokenSize(g.D));
  });
  ForBlocks(g, g.F, kRows, [&](int64_t, int64_t begin, int64_t end) {
    MultiplyRows<T>(g, inputs.routing_SE, {inputs.gate_EFD, g.F, g.D}, begin,
                    end, hidden, outputs.gate_panels);
    MultiplyRows<T>(g, inputs.routing_SE, {inputs.up_EFD, g.F, g.D}, begin, end,
                    hidden, outputs.up_panels);
    const int64_t at = begin * g.width;
    SwigluRows<T>({g.S * g.panels, (end - begin) * g.width, g.F * g.width,
                   outputs.gate_panels + at, outputs.up_panels + at,
                   inner + at});
  });
  // The packed input is done with; its place is as large as the output's.
  ForBlocks(g, g.D, kRows, [&](int64_t, int64_t begin, int64_t end) {
    MultiplyRows<T>(g, inputs.routing_SE, {inputs.down_EDF, g.D, g.F}, begin,
                    end, inner, hidden);
  });
  ForBlocks(g, g.S, 1, [&](int64_t s, int64_t, int64_t) {
    UnpackTokenPanels(hidden + s * g.TokenSize(g.D), g.T, g.D,
                      outputs.out_STD + s * g.T * g.D);
  });
}

template <typename T>
void MergedBackward(const MergedSizes& sizes,
                    const MergedBackwardInputs<T>& inputs,
                    const MergedGradients<T>& gradients) {
  const Geometry<T> g(sizes);
  const MergedInputs<T>& forward = inputs.forward;
  T* const to_out = Workspace<T, 0>(sizes.TokenPanelSize<T>(g.D));
  T* const inner = Workspace<T, 1>(g.S * g.ColumnSize(g.F));
  T* const to_gate = Workspace<T, 2>(sizes.TokenPanelSize<T>(g.F));
  T* const to_up = Workspace<T, 3>(sizes.TokenPanelSize<T>(g.F));
  T* const hidden = Workspace<T, 4>(g.S * g.ColumnSize(g.D));
  ForBlocks(g, g.S, 1, [&](int64_t s, int64_t, int64_t) {
    const int64_t at = s * g.T * g.D;
    PackTokenPanels(inputs.gradient_out_STD + at, g.T, g.D,
                    to_out + s * g.TokenSize(g.D));
    PackColumnPanels(forward.hidden_STD + at, g.T, g.D,
                     hidden + s * g.ColumnSize(g.D));
  });
  InnerBackward(g, inputs, to_out, to_gate, to_up, inner);

  std::vector<double> to_routing_SE(g.S * g.E);
  const auto weights = [&](const T* experts, int64_t rows, int64_t columns,
                           T* to_experts) {
    return WeightGradient<T>(g, forward.routing_SE, {experts, rows, columns},
                             {to_experts, rows, columns},
                             gradients.accumulate_experts);
  };
  weights(forward.down_EDF, g.D, g.F, gradients.down_EDF)
      .Run(to_out, inner, to_routing_SE);
  weights(forward.gate_EFD, g.F, g.D, gradients.gate_EFD)
      .Run(to_gate, hidden, to_routing_SE);
  weights(forward.up_EFD, g.F, g.D, gradients.up_EFD)
      .Run(to_up, hidden, to_routing_SE);
  std::copy(to_routing_SE.begin(), to_routing_SE.end(), gradients.routing_SE);
  HiddenBackward(g, forward, to_gate, to_up, gradients.hidden_STD);
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
