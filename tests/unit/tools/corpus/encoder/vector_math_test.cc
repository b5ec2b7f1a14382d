#include "tools/corpus/encoder/vector_math.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace lory::corpus {
namespace {

std::vector<float> SomeNumbers(int64_t count, double range) {
  Random random(count);
  std::vector<float> numbers;
  for (int64_t i = 0; i < count; ++i) {
    numbers.push_back(
        static_cast<float>((random.NextDouble() * 2 - 1) * range));
  }
  return numbers;
}

double Exact(Activation activation, double x) {
  if (activation == Activation::kRelu) return x > 0 ? x : 0;
  if (activation == Activation::kGelu) {
    return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  }
  return 0.5 * x *
         (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

TEST(VectorMath, ActivationsAreExactToHalfAMillionth) {
  for (const Activation activation :
       {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
    for (const double range : {0.01, 1.0, 6.0, 200.0}) {
      const std::vector<float> in = SomeNumbers(10'001, range);
      std::vector<float> out = in;
      Activate(activation, out.data(), static_cast<int64_t>(out.size()));
      for (size_t i = 0; i < in.size(); ++i) {
        const double exact = Exact(activation, in[i]);
        ASSERT_NEAR(out[i], exact, 5e-7 * std::max(1.0, std::abs(exact)))
            << in[i];
      }
    }
  }
}

TEST(VectorMath, NotANumberStaysSo) {
  for (const Activation activation :
       {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
    float values[] = {1, NAN, 2};
    Activate(activation, values, 3);
    EXPECT_TRUE(std::isnan(values[1]));
    EXPECT_FALSE(std::isnan(values[0]) || std::isnan(values[2]));
  }
}

TEST(VectorMath, SoftmaxOfAnyLengthIsADistribution) {
  for (int64_t count = 1; count <= 40; ++count) {
    const std::vector<float> in = SomeNumbers(count, 30);
    std::vector<float> out = in;
    Softmax(out.data(), count);
    double total = 0;
    for (const float x : in) total += std::exp(static_cast<double>(x));
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_NEAR(out[i], std::exp(static_cast<double>(in[i])) / total, 1e-6);
    }
  }
  float far[] = {-1000, 0, -500};
  Softmax(far, 3);
  EXPECT_NEAR(far[1], 1, 1e-6);
  EXPECT_LT(far[0], 1e-30);
}

TEST(VectorMath, LayerNormOfAnyWidthIsTheFormula) {
  for (const int64_t count : {1, 2, 3, 4, 7, 12, 384, 769}) {
    const std::vector<float> in = SomeNumbers(count, 3);
    const std::vector<float> weight = SomeNumbers(count + 1, 1);
    const std::vector<float> bias = SomeNumbers(count + 2, 1);
    const double mean =
        std::accumulate(in.begin(), in.end(), 0.0) / static_cast<double>(count);
    double variance = 0;
    for (const float x : in) {
      variance += (x - mean) * (x - mean) / static_cast<double>(count);
    }
    std::vector<float> out = in;
    LayerNorm(weight.data(), bias.data(), 1e-5, out.data(), count);
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_NEAR(
          out[i],
          (in[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i],
          3e-6);
    }
  }
}

}  // namespace
}  // namespace lory::corpus
