#include "worker/optim/adam_w.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/tensor_matchers.h"

namespace lory::optim {
namespace {

using ::lory::model::Parameter;
using ::lory::model::ParameterStore;
using ::lory::testing::NearTensor;

lory::v1::OptimizerSpec Spec() {
  lory::v1::OptimizerSpec spec;
  spec.set_peak_learning_rate(1e-2);
  return spec;
}

// Sizes that leave gaps in the flat buffers and tails in the vectors.
std::vector<lory::config::ParameterShape> Shapes() {
  return {{.name = "matrix", .sizes = {5, 7}},
          {.name = "vector", .sizes = {13}, .decays = false},
          {.name = "wide", .sizes = {3, 50000}}};
}

// Algorithm 2 of the paper, as published, in double, on one number.
struct PublishedAdamW {
  double x, m = 0, v = 0;
  int t = 0;

  void Step(double gradient, double rate, double decay) {
    constexpr double kBeta1 = 0.9, kBeta2 = 0.95, kEpsilon = 1e-8;
    ++t;
    m = kBeta1 * m + (1 - kBeta1) * gradient;
    v = kBeta2 * v + (1 - kBeta2) * gradient * gradient;
    const double m_hat = m / (1 - std::pow(kBeta1, t));
    const double v_hat = v / (1 - std::pow(kBeta2, t));
    x -= rate * (m_hat / (std::sqrt(v_hat) + kEpsilon) + decay * x);
  }
};

void SetGradients(ParameterStore& store, const at::Tensor& numbers) {
  at::NoGradGuard no_grad;
  store.flat_gradients().copy_(numbers);
}

TEST(AdamW, FollowsThePublishedFormula) {
  at::manual_seed(7);
  ParameterStore store(Shapes());
  AdamW optimizer(Spec(), store);
  const Parameter& matrix = store.parameters()[0];
  const Parameter& vector = store.parameters()[1];
  {
    at::NoGradGuard no_grad;
    matrix.value.copy_(at::randn({5, 7}));
    vector.value.fill_(1);
  }
  PublishedAdamW decaying = {matrix.value[4][6].item<double>()};
  PublishedAdamW staying = {1};
  constexpr double kScale = 0.25;
  for (int step = 1; step <= 20; ++step) {
    const at::Tensor gradients =
        at::randn({store.flat_values().numel()}) * std::pow(10.0, step % 5 - 2);
    SetGradients(store, gradients);
    const double rate = 1e-2 / step;
    optimizer.Step(store, rate, kScale);
    decaying.Step(kScale * matrix.value.grad()[4][6].item<double>(), rate, 0.1);
    staying.Step(kScale * vector.value.grad()[12].item<double>(), rate, 0);
    EXPECT_NEAR(matrix.value[4][6].item<double>(), decaying.x, 2e-6);
    EXPECT_NEAR(vector.value[12].item<double>(), staying.x, 2e-6);
  }
  EXPECT_EQ(optimizer.step_count(), 20);
}

TEST(AdamW, DecaysMatricesOnly) {
  ParameterStore store(Shapes());
  AdamW optimizer(Spec(), store);
  {
    at::NoGradGuard no_grad;
    for (const Parameter& parameter : store.parameters()) {
      parameter.value.fill_(1);
    }
  }
  optimizer.Step(store, 0.5, 1);  // gradients are zero
  EXPECT_FLOAT_EQ(store.Get("matrix").min().item<float>(), 0.95f);
  EXPECT_FLOAT_EQ(store.Get("vector").min().item<float>(), 1.0f);
  EXPECT_FLOAT_EQ(store.Get("wide").max().item<float>(), 0.95f);
}

TEST(AdamW, GapsBetweenParametersStayZero) {
  ParameterStore store(Shapes());
  AdamW optimizer(Spec(), store);
  for (int step = 0; step < 3; ++step) optimizer.Step(store, 0.1, 1);
  EXPECT_EQ(store.flat_values().abs().max().item<double>(), 0);
}

TEST(AdamW, DoesNotDependOnTheThreadCount) {
  const int before = at::get_num_threads();
  std::vector<at::Tensor> results;
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    at::manual_seed(7);
    ParameterStore store(Shapes());
    AdamW optimizer(Spec(), store);
    for (int step = 0; step < 3; ++step) {
      SetGradients(store, at::randn({store.flat_values().numel()}));
      optimizer.Step(store, 0.1, 1);
    }
    results.push_back(store.flat_values());
  }
  at::set_num_threads(before);
  EXPECT_TRUE(results[0].equal(results[1]));
}

TEST(AdamW, StateIsNamedViewsThatCanBeLoadedInPlace) {
  at::manual_seed(7);
  ParameterStore store(Shapes());
  AdamW optimizer(Spec(), store);
  SetGradients(store, at::randn({store.flat_values().numel()}));
  optimizer.Step(store, 0.1, 1);

  ParameterStore other_store(Shapes());
  AdamW other(Spec(), other_store);
  auto from = store.NamedValues();
  auto to = other_store.NamedValues();
  for (auto& state : optimizer.NamedState(store)) from.push_back(state);
  for (auto& state : other.NamedState(other_store)) to.push_back(state);
  ASSERT_EQ(from.size(), to.size());
  EXPECT_EQ(from[1].first, "param/vector");
  EXPECT_EQ(from[3].first, "adam_m/matrix");
  EXPECT_EQ(from[8].first, "adam_v/wide");
  EXPECT_EQ(from[9].first, "adam_step");
  for (size_t i = 0; i < from.size(); ++i) to[i].second.copy_(from[i].second);
  EXPECT_TRUE(other_store.Get("wide").equal(store.Get("wide")));
  const auto again = other.NamedState(other_store);
  EXPECT_TRUE(again[5].second.equal(from[8].second));
  EXPECT_EQ(other.step_count(), 1);
}

}  // namespace
}  // namespace lory::optim
