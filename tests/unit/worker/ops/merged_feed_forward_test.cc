#include "worker/ops/merged_feed_forward.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "gtest/gtest.h"
#include "tests/support/finite_difference.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/tensor_memory.h"
#include "worker/ops/swiglu.h"

namespace lory::ops {
namespace {

using ::lory::testing::FiniteDifference;
using ::lory::testing::NearTensor;

// Sizes of one case: odd ones reach the tails of every kernel.
struct Sizes {
  int64_t B, N, T, D, F, E;
};

at::Tensor Leaf(at::IntArrayRef sizes, at::ScalarType type) {
  return at::randn(sizes, type).set_requires_grad(true);
}

// Arguments of the operation, leaves that require gradients.
struct Arguments {
  Arguments(const Sizes& s, at::ScalarType type)
      : hidden_BLD(Leaf({s.B, s.N * s.T, s.D}, type)),
        routing_BNE(at::softmax(at::randn({s.B, s.N, s.E}, type), -1)
                        .set_requires_grad(true)),
        gate_EFD(Leaf({s.E, s.F, s.D}, type)),
        up_EFD(Leaf({s.E, s.F, s.D}, type)),
        down_EDF(Leaf({s.E, s.D, s.F}, type)) {}

  at::Tensor Merged() const {
    return MergedFeedForward(hidden_BLD, routing_BNE, gate_EFD, up_EFD,
                             down_EDF);
  }
  at::Tensor Reference() const {
    return MergedFeedForwardReference(hidden_BLD, routing_BNE, gate_EFD, up_EFD,
                                      down_EDF);
  }
  std::vector<at::Tensor> Leaves() const {
    return {hidden_BLD, routing_BNE, gate_EFD, up_EFD, down_EDF};
  }

  at::Tensor hidden_BLD, routing_BNE, gate_EFD, up_EFD, down_EDF;
};

std::vector<at::Tensor> Gradients(const at::Tensor& out,
                                  const at::Tensor& weights,
                                  const std::vector<at::Tensor>& leaves) {
  return torch::autograd::grad({(out * weights).sum()}, leaves);
}

// The feed-forward of one expert on all tokens.
at::Tensor Dense(const at::Tensor& hidden_BLD, const at::Tensor& gate_FD,
                 const at::Tensor& up_FD, const at::Tensor& down_DF) {
  return at::linear(SwigluReference(at::linear(hidden_BLD, gate_FD),
                                    at::linear(hidden_BLD, up_FD)),
                    down_DF);
}

struct MergedFeedForwardTest : ::testing::Test {
  MergedFeedForwardTest() { at::manual_seed(7); }
};

TEST_F(MergedFeedForwardTest, AddsToTheGradientThatExpertsHave) {
  const Arguments a({2, 3, 5, 20, 37, 3}, at::kDouble);
  const at::Tensor weights = at::randn_like(a.hidden_BLD);
  const auto expected = Gradients(a.Merged(), weights, a.Leaves());
  const auto leaves = a.Leaves();
  std::vector<at::Tensor> before, storage;
  for (const at::Tensor& leaf : leaves) {
    before.push_back(at::randn_like(leaf).detach());
    storage.push_back(before.back().clone());
    leaf.mutable_grad() = storage.back();
  }
  (a.Merged() * weights).sum().backward();
  for (size_t i = 0; i < leaves.size(); ++i) {
    EXPECT_THAT(storage[i], NearTensor(before[i] + expected[i], 1e-12)) << i;
    EXPECT_EQ(leaves[i].grad().data_ptr(), storage[i].data_ptr()) << i;
  }
}

TEST_F(MergedFeedForwardTest, LeavesTheGradientOfFrozenExpertsAlone) {
  const Arguments a({2, 3, 5, 20, 37, 3}, at::kDouble);
  const at::Tensor weights = at::randn_like(a.hidden_BLD);
  const auto expected =
      Gradients(a.Merged(), weights, {a.hidden_BLD, a.routing_BNE});
  for (const at::Tensor& expert : {a.gate_EFD, a.up_EFD, a.down_EDF}) {
    expert.mutable_grad() = at::full_like(expert, 3.5).detach();
    expert.set_requires_grad(false);
  }
  (a.Merged() * weights).sum().backward();
  for (const at::Tensor& expert : {a.gate_EFD, a.up_EFD, a.down_EDF}) {
    EXPECT_TRUE(expert.grad().eq(3.5).all().item<bool>());
  }
  EXPECT_THAT(a.hidden_BLD.grad(), NearTensor(expected[0], 1e-12));
  EXPECT_THAT(a.routing_BNE.grad(), NearTensor(expected[1], 1e-12));
}

TEST_F(MergedFeedForwardTest, EveryGradientMatchesFiniteDifferences) {
  const Arguments arguments({2, 3, 4, 5, 7, 3}, at::kDouble);
  const at::Tensor weights = at::randn({2, 12, 5}, at::kDouble);
  const auto loss = [&] { return (arguments.Merged() * weights).sum(); };
  const auto gradients =
      Gradients(arguments.Merged(), weights, arguments.Leaves());
  for (size_t i = 0; i < gradients.size(); ++i) {
    EXPECT_THAT(gradients[i],
                NearTensor(FiniteDifference(loss, arguments.Leaves()[i]), 1e-8))
        << "argument " << i;
  }
}

TEST_F(MergedFeedForwardTest, KernelsAgreeWithTheEquations) {
  // Wider than one block and more segments than one group, and the reverse.
  for (const Sizes& s :
       {Sizes{3, 4, 6, 48, 80, 5}, Sizes{1, 1, 3, 17, 33, 2},
        Sizes{2, 9, 5, 70, 530, 3}, Sizes{1, 2, 16, 600, 40, 9}}) {
    for (const auto type : {at::kDouble, at::kFloat}) {
      const double tolerance = type == at::kDouble ? 1e-12 : 2e-5;
      const Arguments arguments(s, type);
      const at::Tensor merged = arguments.Merged();
      const at::Tensor reference = arguments.Reference();
      EXPECT_THAT(merged, NearTensor(reference, tolerance));
      const at::Tensor weights = at::randn(merged.sizes(), type);
      const auto ours = Gradients(merged, weights, arguments.Leaves());
      const auto theirs = Gradients(reference, weights, arguments.Leaves());
      for (size_t i = 0; i < ours.size(); ++i) {
        EXPECT_THAT(ours[i], NearTensor(theirs[i], tolerance)) << i;
      }
    }
  }
}

TEST_F(MergedFeedForwardTest, OneExpertIsTheDenseFeedForward) {
  Arguments a({2, 3, 4, 6, 8, 1}, at::kDouble);
  EXPECT_THAT(a.Merged(), NearTensor(Dense(a.hidden_BLD, a.gate_EFD[0],
                                           a.up_EFD[0], a.down_EDF[0]),
                                     1e-13));
}

TEST_F(MergedFeedForwardTest, EqualExpertsAreDenseForAnyRouter) {
  Arguments a({2, 3, 4, 6, 8, 4}, at::kDouble);
  const auto first = [](const at::Tensor& experts) {
    return experts.slice(0, 0, 1).expand_as(experts).contiguous();
  };
  const at::Tensor out =
      MergedFeedForward(a.hidden_BLD, a.routing_BNE, first(a.gate_EFD),
                        first(a.up_EFD), first(a.down_EDF));
  EXPECT_THAT(out, NearTensor(Dense(a.hidden_BLD, a.gate_EFD[0], a.up_EFD[0],
                                    a.down_EDF[0]),
                              1e-13));
}

TEST_F(MergedFeedForwardTest, AllWeightOnOneExpertIsThatExpert) {
  Arguments a({1, 3, 4, 6, 8, 3}, at::kDouble);
  a.routing_BNE = at::eye(3, at::kDouble).unsqueeze(0);  // segment n: expert n
  const at::Tensor out = a.Merged();
  for (int64_t n = 0; n < 3; ++n) {
    EXPECT_THAT(out.narrow(1, 4 * n, 4),
                NearTensor(Dense(a.hidden_BLD.narrow(1, 4 * n, 4),
                                 a.gate_EFD[n], a.up_EFD[n], a.down_EDF[n]),
                           1e-13));
  }
}

TEST_F(MergedFeedForwardTest, PermutingExpertsChangesNothing) {
  Arguments a({2, 2, 4, 6, 8, 5}, at::kDouble);
  const at::Tensor order = at::randperm(5);
  const at::Tensor permuted = MergedFeedForward(
      a.hidden_BLD, a.routing_BNE.index_select(2, order),
      a.gate_EFD.index_select(0, order), a.up_EFD.index_select(0, order),
      a.down_EDF.index_select(0, order));
  EXPECT_THAT(permuted, NearTensor(a.Merged(), 1e-13));
}

TEST_F(MergedFeedForwardTest, IsNotAMixtureOfOutputs) {
  Arguments a({1, 1, 4, 6, 8, 2}, at::kDouble);
  const at::Tensor half = at::full({1, 1, 2}, 0.5, at::kDouble);
  const at::Tensor merged =
      MergedFeedForward(a.hidden_BLD, half, a.gate_EFD, a.up_EFD, a.down_EDF);
  const auto expert = [&](int64_t e) {
    return Dense(a.hidden_BLD, a.gate_EFD[e], a.up_EFD[e], a.down_EDF[e]);
  };
  EXPECT_GT(
      lory::testing::LargestDifference(merged, (expert(0) + expert(1)) / 2),
      0.1);
}

TEST_F(MergedFeedForwardTest, ResultsDoNotDependOnTheThreadCount) {
  const Arguments a({2, 5, 8, 96, 200, 4}, at::kFloat);
  const at::Tensor weights = at::randn({2, 40, 96}, at::kFloat);
  const int before = at::get_num_threads();
  std::vector<std::vector<at::Tensor>> results;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    const at::Tensor out = a.Merged();
    results.push_back(Gradients(out, weights, a.Leaves()));
    results.back().push_back(out);
  }
  at::set_num_threads(before);
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(results[0][i].equal(results[1][i])) << i;
  }
}

// Bytes of tensors that a pass makes beside its inputs and their gradients.
struct Bytes {
  int64_t kept = 0;    // by the forward pass, for the backward one
  int64_t passed = 0;  // the most that the backward pass adds to those
};

template <typename Forward>
Bytes BytesOf(const Arguments& a, const Forward& forward) {
  for (const at::Tensor& leaf : a.Leaves()) {
    leaf.mutable_grad() = at::zeros_like(leaf);
  }
  const at::Tensor weights = at::ones_like(a.hidden_BLD);
  lory::testing::TensorMemory memory;
  const at::Tensor out = forward();
  Bytes bytes{.kept = memory.live()};
  memory.Restart();
  out.backward(weights);
  bytes.passed = memory.peak() - bytes.kept;
  return bytes;
}

TEST_F(MergedFeedForwardTest, KeepsNoMergedWeights) {
  const Sizes few{1, 8, 64, 256, 128, 2};  // whole panels of tokens
  Sizes many = few;
  many.E = 24;
  const int64_t tokens = few.N * few.T;
  const int64_t outputs = tokens * few.D * 4;  // bytes
  const int64_t inner = tokens * 2 * few.F * 4;
  const int64_t merged = few.N * 3 * few.D * few.F * 4;
  for (const Sizes& sizes : {few, many}) {
    const Arguments a(sizes, at::kFloat);
    const Bytes ours = BytesOf(a, [&] { return a.Merged(); });
    EXPECT_EQ(ours.kept, outputs + inner) << sizes.E;
    // Gradients of hidden states and routing; none of experts' size.
    const int64_t routing = few.N * sizes.E * 4;
    EXPECT_LE(ours.passed, outputs + routing + inner) << sizes.E;
    EXPECT_LT(ours.kept + ours.passed, merged) << sizes.E;
    // What it is measured with does see them where they are kept.
    EXPECT_GE(BytesOf(a, [&] { return a.Reference(); }).kept, merged);
  }
}

TEST_F(MergedFeedForwardTest, RoutingThatDoesNotFitIsRefused) {
  const Arguments a({2, 3, 4, 6, 8, 2}, at::kFloat);
  EXPECT_THROW(MergedFeedForward(a.hidden_BLD, at::rand({2, 5, 2}), a.gate_EFD,
                                 a.up_EFD, a.down_EDF),
               c10::Error);
}

}  // namespace
}  // namespace lory::ops
