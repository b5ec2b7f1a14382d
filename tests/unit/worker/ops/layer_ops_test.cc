#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/finite_difference.h"
#include "tests/support/tensor_matchers.h"
#include "worker/ops/attention.h"
#include "worker/ops/linear_cross_entropy.h"
#include "worker/ops/rms_norm.h"
#include "worker/ops/rotary.h"
#include "worker/ops/swiglu.h"

namespace lory::ops {
namespace {

using ::lory::testing::FiniteDifference;
using ::lory::testing::NearTensor;

using Operation =
    std::function<at::Tensor(const std::vector<at::Tensor>& leaves)>;

// The operation equals its reference, in value and in every gradient.
void ExpectEqual(const Operation& operation, const Operation& reference,
                 const std::vector<at::Tensor>& leaves, double tolerance) {
  const at::Tensor ours = operation(leaves);
  const at::Tensor theirs = reference(leaves);
  EXPECT_THAT(ours, NearTensor(theirs, tolerance));
  const at::Tensor weights = at::randn(ours.sizes(), ours.options());
  const auto gradients =
      torch::autograd::grad({(ours * weights).sum()}, leaves);
  const auto expected =
      torch::autograd::grad({(theirs * weights).sum()}, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) {
    EXPECT_THAT(gradients[i], NearTensor(expected[i], tolerance)) << i;
  }
}

// Every gradient equals finite differences.
void ExpectSlopes(const Operation& operation,
                  const std::vector<at::Tensor>& leaves) {
  const at::Tensor weights = at::randn(operation(leaves).sizes(), at::kDouble);
  const auto loss = [&] { return (operation(leaves) * weights).sum(); };
  const auto gradients = torch::autograd::grad({loss()}, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) {
    EXPECT_THAT(gradients[i],
                NearTensor(FiniteDifference(loss, leaves[i]), 1e-8))
        << i;
  }
}

at::Tensor Leaf(at::IntArrayRef sizes, at::ScalarType type = at::kDouble) {
  return at::randn(sizes, type).set_requires_grad(true);
}

struct LayerOpsTest : ::testing::Test {
  LayerOpsTest() { at::manual_seed(7); }
};

TEST_F(LayerOpsTest, RmsNormMatchesItsFormulaAndFiniteDifferences) {
  const Operation norm = [](const auto& leaves) {
    return RmsNorm(leaves[0], leaves[1], 1e-5);
  };
  const Operation reference = [](const auto& leaves) {
    return RmsNormReference(leaves[0], leaves[1], 1e-5);
  };
  ExpectSlopes(norm, {Leaf({2, 3, 7}), Leaf({7})});
  ExpectEqual(norm, reference, {Leaf({3, 100, 37}), Leaf({37})}, 1e-12);
  ExpectEqual(norm, reference,
              {Leaf({3, 100, 64}, at::kFloat), Leaf({64}, at::kFloat)}, 1e-5);
}

TEST_F(LayerOpsTest, SwigluMatchesItsFormulaAndFiniteDifferences) {
  const Operation swiglu = [](const auto& leaves) {
    return Swiglu(leaves[0], leaves[1]);
  };
  const Operation reference = [](const auto& leaves) {
    return SwigluReference(leaves[0], leaves[1]);
  };
  ExpectSlopes(swiglu, {Leaf({3, 5}), Leaf({3, 5})});
  ExpectEqual(swiglu, reference, {Leaf({7, 37}), Leaf({7, 37})}, 1e-12);
  ExpectEqual(swiglu, reference,
              {Leaf({7, 37}, at::kFloat), Leaf({7, 37}, at::kFloat)}, 1e-6);
}

TEST_F(LayerOpsTest, SwigluSurvivesExtremeGates) {
  const at::Tensor gate = at::full({20}, -1e4, at::kFloat);
  const at::Tensor one = at::full({20}, 1, at::kFloat);
  EXPECT_LE(Swiglu(gate, one).abs().max().item<float>(), 1e-30);
  EXPECT_THAT(Swiglu(-gate, one), NearTensor(-gate, 1e-6));
}

TEST_F(LayerOpsTest, RotaryMatchesHuggingFacesFormula) {
  const RotaryTable table = MakeRotaryTable(8, 6, 10000, at::kDouble);
  const Operation turn = [&](const auto& leaves) {
    return ApplyRotary(leaves[0], table);
  };
  const Operation reference = [&](const auto& leaves) {
    return ApplyRotaryReference(leaves[0], table);
  };
  ExpectSlopes(turn, {Leaf({1, 3, 2, 6})});
  ExpectEqual(turn, reference, {Leaf({2, 8, 3, 6})}, 1e-13);
}

TEST_F(LayerOpsTest, RotaryScoresDependOnDistanceOnly) {
  const RotaryTable table = MakeRotaryTable(20, 8, 10000, at::kDouble);
  const at::Tensor query = at::randn({8}, at::kDouble);
  const at::Tensor key = at::randn({8}, at::kDouble);
  const auto at_all = [&](const at::Tensor& head) {
    return ApplyRotary(head.expand({1, 20, 1, 8}), table).squeeze();
  };
  const at::Tensor queries = at_all(query);
  const at::Tensor keys = at_all(key);
  const double near = queries[5].dot(keys[2]).item<double>();
  const double far = queries[17].dot(keys[14]).item<double>();
  EXPECT_NEAR(near, far, 1e-12);
}

TEST_F(LayerOpsTest, AttentionMatchesItsFormula) {
  const Operation attention = [](const auto& leaves) {
    return CausalAttention(leaves[0], leaves[1], leaves[2]);
  };
  const Operation reference = [](const auto& leaves) {
    return CausalAttentionReference(leaves[0], leaves[1], leaves[2]);
  };
  ExpectEqual(attention, reference,
              {Leaf({2, 9, 4, 6}), Leaf({2, 9, 4, 6}), Leaf({2, 9, 4, 6})},
              1e-12);
  ExpectEqual(
      attention, reference,
      {Leaf({2, 70, 4, 16}, at::kFloat), Leaf({2, 70, 2, 16}, at::kFloat),
       Leaf({2, 70, 2, 16}, at::kFloat)},
      2e-5);
}

TEST_F(LayerOpsTest, LossMatchesLibTorchsCrossEntropy) {
  for (const auto type : {at::kDouble, at::kFloat}) {
    // 600 rows of a 13,000 word vocabulary: several chunks, the last ragged.
    const int64_t rows = type == at::kDouble ? 30 : 600;
    const int64_t words = type == at::kDouble ? 37 : 13001;
    const at::Tensor targets = at::randint(0, words, {rows}, at::kLong);
    targets[3] = -1;
    ExpectEqual(
        [&](const auto& leaves) {
          return LinearCrossEntropy(leaves[0], leaves[1], targets);
        },
        [&](const auto& leaves) {
          return LinearCrossEntropyReference(leaves[0], leaves[1], targets);
        },
        {Leaf({rows, 8}, type), Leaf({words, 8}, type)},
        type == at::kDouble ? 1e-12 : 1e-5);
  }
}

TEST_F(LayerOpsTest, EntropyIsThatOfTheSoftmax) {
  // More rows than a chunk has, too.
  for (const int64_t rows : {3, 150}) {
    const at::Tensor head = at::randn({40'000, 4}, at::kDouble);
    const at::Tensor hidden = Leaf({rows, 4}, at::kDouble);
    const at::Tensor shares = at::softmax(at::mm(hidden, head.t()), -1);
    const at::Tensor expected = -(shares * shares.log()).sum();
    const at::Tensor found = LinearEntropy(hidden, head);
    EXPECT_NEAR(found.item<double>(), expected.item<double>(), 1e-9);
    const at::Tensor by_chain = torch::autograd::grad({expected}, {hidden})[0];
    const at::Tensor by_hand = torch::autograd::grad({found * 2}, {hidden})[0];
    EXPECT_TRUE(at::allclose(by_hand, 2 * by_chain, 1e-9, 1e-11));
  }
}

TEST_F(LayerOpsTest, LossWithoutGradientsIsTheSame) {
  const at::Tensor hidden = Leaf({20, 8}, at::kFloat);
  const at::Tensor head = Leaf({50, 8}, at::kFloat);
  const at::Tensor targets = at::randint(0, 50, {20}, at::kLong);
  const double with = LinearCrossEntropy(hidden, head, targets).item<double>();
  at::NoGradGuard no_grad;
  EXPECT_EQ(LinearCrossEntropy(hidden, head, targets).item<double>(), with);
}

TEST_F(LayerOpsTest, LossSurvivesHugeLogits) {
  const at::Tensor hidden = at::full({1, 1}, 1e6, at::kFloat);
  const at::Tensor head = at::randn({40, 1}, at::kFloat);
  const at::Tensor best = at::argmax(head).reshape({1});
  EXPECT_EQ(LinearCrossEntropy(hidden, head, best).item<double>(), 0);
}

TEST_F(LayerOpsTest, ATargetOutsideTheVocabularyIsRefused) {
  const at::Tensor targets = at::full({1}, 40, at::kLong);
  EXPECT_THROW(
      LinearCrossEntropy(at::randn({1, 4}), at::randn({40, 4}), targets),
      c10::Error);
}

TEST_F(LayerOpsTest, NormAndLossDoNotDependOnTheThreadCount) {
  const std::vector<at::Tensor> leaves = {Leaf({700, 48}, at::kFloat),
                                          Leaf({48}, at::kFloat)};
  const int before = at::get_num_threads();
  std::vector<at::Tensor> gradients[2];
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    gradients[threads - 1] = torch::autograd::grad(
        {RmsNorm(leaves[0], leaves[1], 1e-5).square().sum()}, leaves);
  }
  at::set_num_threads(before);
  EXPECT_TRUE(gradients[0][0].equal(gradients[1][0]));
  EXPECT_TRUE(gradients[0][1].equal(gradients[1][1]));
}

}  // namespace
}  // namespace lory::ops
