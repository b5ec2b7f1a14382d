#include "tools/corpus/encoder/vector_math.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lory::corpus {
namespace {

constexpr int64_t kLanes = 4;
using Lanes = float __attribute__((vector_size(4 * kLanes)));
using WholeLanes = int32_t __attribute__((vector_size(4 * kLanes)));

Lanes Load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

void Store(const Lanes& lanes, float* to) {
  std::memcpy(to, &lanes, sizeof(lanes));
}

Lanes Same(float value) { return Lanes{value, value, value, value}; }

Lanes Max(const Lanes& a, const Lanes& b) { return a > b ? a : b; }
Lanes Min(const Lanes& a, const Lanes& b) { return a < b ? a : b; }

// Calls use(lanes) for all of `values`, the last ones filled up with `fill`.
template <typename Use>
void ForEach(float* values, int64_t count, float fill, const Use& use) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Lanes lanes = Load(values + i);
    use(lanes);
    Store(lanes, values + i);
  }
  if (i == count) return;
  float rest[kLanes] = {fill, fill, fill, fill};
  std::copy(values + i, values + count, rest);
  Lanes lanes = Load(rest);
  use(lanes);
  Store(lanes, rest);
  std::copy(rest, rest + (count - i), values + i);
}

// Cody and Waite's reduction to half of ln 2 at most, then a polynomial: the
// expf of Cephes. NaN stays NaN.
Lanes Exp(const Lanes& x) {
  const Lanes bounded = Min(Max(x, Same(-87.f)), Same(88.f));
  const Lanes shift = Same(12582912.f);  // 1.5 * 2^23: rounds to whole numbers
  const Lanes shifted = bounded * 1.44269504f + shift;
  const Lanes power = shifted - shift;
  const Lanes r = (bounded - power * 0.693359375f) + power * 2.12194440e-4f;
  Lanes p = Same(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  WholeLanes bits;
  WholeLanes shift_bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  std::memcpy(&shift_bits, &shift, sizeof(shift_bits));
  const WholeLanes scale_bits = (bits - shift_bits + 127) << 23;
  Lanes scale;
  std::memcpy(&scale, &scale_bits, sizeof(scale));
  const Lanes result = p * scale;
  return x == x ? result : x;
}

// 1 - erf(x) of x >= 0 within 1.5e-7: Abramowitz and Stegun, 7.1.26.
Lanes ErrorTail(const Lanes& x) {
  const Lanes t = 1.f / (1.f + 0.3275911f * x);
  Lanes p = Same(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  return p * t * Exp(-x * x);
}

Lanes Gelu(const Lanes& x) {
  const Lanes half = x * 0.5f;
  const Lanes tail = ErrorTail((x < 0.f ? -x : x) * 0.70710678f);
  return x < 0.f ? half * tail : x - half * tail;
}

// x (1 + tanh u) / 2 = x / (1 + exp(-2u)).
Lanes GeluTanh(const Lanes& x) {
  const Lanes u = (x + x * x * x * 0.044715f) * 0.79788456f;
  return x / (1.f + Exp(u * -2.f));
}

// NaN stays NaN, as in the others.
Lanes Relu(const Lanes& x) { return x < 0.f ? Same(0) : x; }

float SumOf(const Lanes& lanes) {
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

}  // namespace

void Activate(Activation activation, float* values, int64_t count) {
  switch (activation) {
    case Activation::kGelu:
      return ForEach(values, count, 0, [](Lanes& x) { x = Gelu(x); });
    case Activation::kGeluTanh:
      return ForEach(values, count, 0, [](Lanes& x) { x = GeluTanh(x); });
    case Activation::kRelu:
      return ForEach(values, count, 0, [](Lanes& x) { x = Relu(x); });
  }
}

void Softmax(float* values, int64_t count) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  Lanes most = Same(kLowest);
  ForEach(values, count, kLowest, [&](Lanes& x) { most = Max(x, most); });
  const Lanes max =
      Same(std::max(std::max(most[0], most[1]), std::max(most[2], most[3])));
  Lanes sum = Same(0);
  const int64_t whole = count - count % kLanes;
  ForEach(values, whole, 0, [&](Lanes& x) {
    x = Exp(x - max);
    sum += x;
  });
  float total = SumOf(sum);
  ForEach(values + whole, count - whole, 0,
          [&](Lanes& x) { x = Exp(x - max); });
  for (int64_t i = whole; i < count; ++i) total += values[i];
  ForEach(values, count, 0, [total](Lanes& x) { x /= total; });
}

void LayerNorm(const float* weight, const float* bias, double epsilon,
               float* values, int64_t count) {
  const int64_t whole = count - count % kLanes;
  const auto sum_of = [&](const auto& term) {
    Lanes sum = Same(0);
    ForEach(values, whole, 0, [&](Lanes& x) { sum += term(x); });
    double total = SumOf(sum);
    for (int64_t i = whole; i < count; ++i) total += term(Same(values[i]))[0];
    return total / static_cast<double>(count);
  };
  const float mean =
      static_cast<float>(sum_of([](const Lanes& x) { return x; }));
  const double variance =
      sum_of([mean](const Lanes& x) { return (x - mean) * (x - mean); });
  const float scale = static_cast<float>(1 / std::sqrt(variance + epsilon));
  for (int64_t i = 0; i < whole; i += kLanes) {
    Store((Load(values + i) - mean) * scale * Load(weight + i) + Load(bias + i),
          values + i);
  }
  for (int64_t i = whole; i < count; ++i) {
    values[i] = (values[i] - mean) * scale * weight[i] + bias[i];
  }
}

void AddTo(float* values, const float* other, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Store(Load(values + i) + Load(other + i), values + i);
  }
  for (; i < count; ++i) values[i] += other[i];
}

}  // namespace lory::corpus
