#include "worker/ops/expert_mix.h"

#include "worker/ops/simd.h"

namespace lory::ops {
namespace {

// One tile of MixBlocks: kOutputs outputs by kVectors vectors in registers, so
// that every input is loaded once for all of them.
template <typename S, typename T, int kOutputs, int kVectors>
LORY_INLINE void MixTile(const MixArguments<T>& args, int64_t output,
                         int64_t offset_in, int64_t offset_out) {
  using Vec = typename S::Vec;
  Vec sums[kOutputs][kVectors];
  T* const out =
      args.outputs.data + output * args.outputs.block_stride + offset_out;
#pragma GCC unroll 8
  for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const T* at = out + o * args.outputs.block_stride + v * S::kLanes;
      sums[o][v] = args.accumulate ? S::Load(at) : S::All(0);
    }
  }
  const T* in = args.inputs.data + offset_in;
  const T* weights = args.weights + output * args.output_weight_stride;
  for (int64_t i = 0; i < args.input_count; ++i) {
    Vec values[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      values[v] = S::Load(in + v * S::kLanes);
    }
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) {
      const Vec weight = S::All(weights[o * args.output_weight_stride]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[o][v] += weight * values[v];
    }
    in += args.inputs.block_stride;
    weights += args.input_weight_stride;
  }
#pragma GCC unroll 8
  for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      S::Store(out + o * args.outputs.block_stride + v * S::kLanes, sums[o][v]);
    }
  }
}

// The columns that fill no vector, one by one.
template <typename T>
LORY_INLINE void MixRest(const MixArguments<T>& args, int64_t output,
                         int64_t offset_in, int64_t offset_out) {
  T* const out =
      args.outputs.data + output * args.outputs.block_stride + offset_out;
  T sum = args.accumulate ? *out : 0;
  for (int64_t i = 0; i < args.input_count; ++i) {
    sum += args.weights[output * args.output_weight_stride +
                        i * args.input_weight_stride] *
           args.inputs.data[i * args.inputs.block_stride + offset_in];
  }
  *out = sum;
}

template <typename S, typename T, int kOutputs>
LORY_INLINE void MixOutputs(const MixArguments<T>& args, int64_t output) {
  for (int64_t row = 0; row < args.rows; ++row) {
    const int64_t in = row * args.inputs.row_stride;
    const int64_t out = row * args.outputs.row_stride;
    int64_t column = 0;
    for (; column + 2 * S::kLanes <= args.columns; column += 2 * S::kLanes) {
      MixTile<S, T, kOutputs, 2>(args, output, in + column, out + column);
    }
    for (; column + S::kLanes <= args.columns; column += S::kLanes) {
      MixTile<S, T, kOutputs, 1>(args, output, in + column, out + column);
    }
    for (; column < args.columns; ++column) {
      for (int o = 0; o < kOutputs; ++o) {
        MixRest(args, output + o, in + column, out + column);
      }
    }
  }
}

template <typename S, typename T>
LORY_INLINE void MixBody(const MixArguments<T>& args) {
  int64_t output = 0;
  for (; output + 4 <= args.output_count; output += 4) {
    MixOutputs<S, T, 4>(args, output);
  }
  for (; output < args.output_count; ++output) {
    MixOutputs<S, T, 1>(args, output);
  }
}

// kLeft by kRight inner products over one row.
template <typename S, typename T, int kLeft, int kRight>
LORY_INLINE void ProductTile(const InnerProductArguments<T>& args, int64_t left,
                             int64_t right) {
  using Vec = typename S::Vec;
  Vec sums[kLeft][kRight] = {};
  T rest[kLeft][kRight] = {};
  const T* const a = args.left.data + left * args.left.block_stride;
  const T* const b = args.right.data + right * args.right.block_stride;
  for (int64_t row = 0; row < args.rows; ++row) {
    const T* const a_row = a + row * args.left.row_stride;
    const T* const b_row = b + row * args.right.row_stride;
    int64_t column = 0;
    for (; column + S::kLanes <= args.columns; column += S::kLanes) {
      Vec values[kRight];
#pragma GCC unroll 8
      for (int r = 0; r < kRight; ++r) {
        values[r] = S::Load(b_row + r * args.right.block_stride + column);
      }
#pragma GCC unroll 8
      for (int l = 0; l < kLeft; ++l) {
        const Vec value = S::Load(a_row + l * args.left.block_stride + column);
#pragma GCC unroll 8
        for (int r = 0; r < kRight; ++r) sums[l][r] += value * values[r];
      }
    }
    for (; column < args.columns; ++column) {
      for (int l = 0; l < kLeft; ++l) {
        for (int r = 0; r < kRight; ++r) {
          rest[l][r] += a_row[l * args.left.block_stride + column] *
                        b_row[r * args.right.block_stride + column];
        }
      }
    }
  }
  for (int l = 0; l < kLeft; ++l) {
    for (int r = 0; r < kRight; ++r) {
      args.products[(left + l) * args.product_stride + right + r] +=
          S::Sum(sums[l][r]) + rest[l][r];
    }
  }
}

template <typename S, typename T, int kLeft>
LORY_INLINE void ProductLeft(const InnerProductArguments<T>& args,
                             int64_t left) {
  int64_t right = 0;
  for (; right + 4 <= args.right_count; right += 4) {
    ProductTile<S, T, kLeft, 4>(args, left, right);
  }
  for (; right < args.right_count; ++right) {
    ProductTile<S, T, kLeft, 1>(args, left, right);
  }
}

template <typename S, typename T>
LORY_INLINE void ProductBody(const InnerProductArguments<T>& args) {
  int64_t left = 0;
  for (; left + 2 <= args.left_count; left += 2) {
    ProductLeft<S, T, 2>(args, left);
  }
  for (; left < args.left_count; ++left) ProductLeft<S, T, 1>(args, left);
}

LORY_DEFINE_KERNEL(Mix, MixBody, MixArguments)
LORY_DEFINE_KERNEL(Product, ProductBody, InnerProductArguments)

}  // namespace

template <typename T>
void MixBlocks(const MixArguments<T>& arguments) {
  Mix(arguments);
}

template <typename T>
void InnerProducts(const InnerProductArguments<T>& arguments) {
  Product(arguments);
}

template void MixBlocks<float>(const MixArguments<float>&);
template void MixBlocks<double>(const MixArguments<double>&);
template void InnerProducts<float>(const InnerProductArguments<float>&);
template void InnerProducts<double>(const InnerProductArguments<double>&);

}  // namespace lory::ops
