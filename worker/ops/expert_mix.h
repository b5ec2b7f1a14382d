#ifndef LORY_WORKER_OPS_EXPERT_MIX_H_
#define LORY_WORKER_OPS_EXPERT_MIX_H_

#include <cstdint>

// The arithmetic that experts add to a feed-forward, on blocks small enough for
// the second-level cache: merge, its two gradients. LibTorch's GEMM is meant
// for other shapes (8 deep and a million wide runs at a tenth of the peak).
//
// T is float or double. Single-threaded; callers split the work.
namespace lory::ops {

// Equal blocks of numbers, one for each expert or segment: block i has `rows`
// rows of `columns` numbers; row r starts at data + i * block_stride +
// r * row_stride.
template <typename T>
struct BlockSet {
  T* data;
  int64_t block_stride;
  int64_t row_stride;
};

// Sums of blocks: output o = sum over i of weight(o, i) * input i, added to
// what is there if `accumulate`. With experts as inputs and segments as
// outputs it merges; the other way round it spreads a merged gradient.
template <typename T>
struct MixArguments {
  int64_t rows;
  int64_t columns;
  int64_t input_count;
  BlockSet<const T> inputs;
  int64_t output_count;
  BlockSet<T> outputs;
  // weight(o, i) is weights[o * output_weight_stride + i * input_weight_stride]
  const T* weights;
  int64_t output_weight_stride;
  int64_t input_weight_stride;
  bool accumulate;
};

template <typename T>
void MixBlocks(const MixArguments<T>& arguments);

// Inner products of whole blocks: products[l * product_stride + r] +=
// <left l, right r>.
template <typename T>
struct InnerProductArguments {
  int64_t rows;
  int64_t columns;
  int64_t left_count;
  BlockSet<const T> left;
  int64_t right_count;
  BlockSet<const T> right;
  T* products;
  int64_t product_stride;
};

template <typename T>
void InnerProducts(const InnerProductArguments<T>& arguments);

extern template void MixBlocks<float>(const MixArguments<float>&);
extern template void MixBlocks<double>(const MixArguments<double>&);
extern template void InnerProducts<float>(const InnerProductArguments<float>&);
extern template void InnerProducts<double>(
    const InnerProductArguments<double>&);

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_EXPERT_MIX_H_
