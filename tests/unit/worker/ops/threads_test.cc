#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "gtest/gtest.h"
#include "worker/ops/merged_feed_forward.h"
#include "worker/ops/rms_norm.h"
#include "worker/ops/rotary.h"
#include "worker/ops/swiglu.h"

// Our own operations give the same bits on any number of threads.
namespace lory::ops {
namespace {

using Operation =
    std::function<at::Tensor(const std::vector<at::Tensor>& leaves)>;

struct ThreadsTest : ::testing::TestWithParam<int> {
  ThreadsTest() { at::manual_seed(7); }
  ~ThreadsTest() override { at::set_num_threads(before); }

  const int before = at::get_num_threads();
};

at::Tensor Leaf(at::IntArrayRef sizes) {
  return at::randn(sizes).set_requires_grad(true);
}

// The result and every gradient.
std::vector<at::Tensor> Run(const Operation& operation,
                            const std::vector<at::Tensor>& leaves,
                            int threads) {
  at::set_num_threads(threads);
  const at::Tensor out = operation(leaves);
  // Unequal gradients, made without drawing.
  std::vector<at::Tensor> all =
      torch::autograd::grad({(out * out.detach().cos()).sum()}, leaves);
  all.push_back(out.detach());
  return all;
}

void ExpectSameBits(const Operation& operation,
                    const std::vector<at::Tensor>& leaves, int threads) {
  const auto one = Run(operation, leaves, 1);
  const auto many = Run(operation, leaves, threads);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(one[i].equal(many[i])) << i;
  }
}

// Sizes are odd, and large enough for more than one task.
TEST_P(ThreadsTest, SwigluDoesNotDependOnThem) {
  ExpectSameBits(
      [](const auto& leaves) { return Swiglu(leaves[0], leaves[1]); },
      {Leaf({1001, 333}), Leaf({1001, 333})}, GetParam());
}

TEST_P(ThreadsTest, RmsNormDoesNotDependOnThem) {
  ExpectSameBits(
      [](const auto& leaves) { return RmsNorm(leaves[0], leaves[1], 1e-5); },
      {Leaf({5001, 67}), Leaf({67})}, GetParam());
}

TEST_P(ThreadsTest, RotaryDoesNotDependOnThem) {
  const RotaryTable table = MakeRotaryTable(501, 34, 10000, at::kFloat);
  ExpectSameBits(
      [&](const auto& leaves) { return ApplyRotary(leaves[0], table); },
      {Leaf({7, 501, 5, 34})}, GetParam());
}

TEST_P(ThreadsTest, MergedFeedForwardDoesNotDependOnThem) {
  ExpectSameBits(
      [](const auto& leaves) {
        return MergedFeedForward(leaves[0], leaves[1], leaves[2], leaves[3],
                                 leaves[4]);
      },
      {Leaf({3, 5 * 37, 131}),
       at::softmax(at::randn({3, 5, 6}), -1).set_requires_grad(true),
       Leaf({6, 397, 131}), Leaf({6, 397, 131}), Leaf({6, 131, 397})},
      GetParam());
}

INSTANTIATE_TEST_SUITE_P(Counts, ThreadsTest, ::testing::Values(2, 3));

}  // namespace
}  // namespace lory::ops
