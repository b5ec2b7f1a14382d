#include "worker/model/segment_router.h"

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "gtest/gtest.h"
#include "tests/support/tensor_matchers.h"

namespace lory::model {
namespace {

using ::lory::testing::NearTensor;

constexpr int64_t kSegment = 4;

struct CausalRoutingTest : ::testing::Test {
  CausalRoutingTest() {
    at::manual_seed(7);
    hidden_BLD = at::randn({2, 3 * kSegment, 5}, at::kDouble);
    router_ED = at::randn({3, 5}, at::kDouble).set_requires_grad(true);
  }

  at::Tensor Route(const at::Tensor& hidden) const {
    return CausalRouting(hidden, router_ED, kSegment);
  }

  at::Tensor hidden_BLD;
  at::Tensor router_ED;
};

TEST_F(CausalRoutingTest, ATokenMovesOnlyTheSegmentAfterItsOwn) {
  at::Tensor changed_BLD = hidden_BLD.clone();
  changed_BLD[0][2 * kSegment - 1] += 1;  // last token of segment 1
  const at::Tensor moved_BN =
      (Route(changed_BLD) - Route(hidden_BLD)).abs().amax(-1) > 0;
  EXPECT_TRUE(moved_BN.equal(
      at::tensor({0, 0, 1, 0, 0, 0}).to(at::kBool).view({2, 3})));
}

TEST_F(CausalRoutingTest, EveryRowSumsToOne) {
  EXPECT_THAT(Route(hidden_BLD).sum(-1),
              NearTensor(at::full({2, 3}, 1.0, at::kDouble), 1e-12));
}

TEST_F(CausalRoutingTest, TheFirstSegmentTeachesTheRouterNothing) {
  Route(hidden_BLD).narrow(1, 0, 1).pow(2).sum().backward();
  EXPECT_EQ(router_ED.grad().abs().max().item<double>(), 0);
}

TEST_F(CausalRoutingTest, TheFirstSegmentTeachesThroughTheSecond) {
  Route(hidden_BLD).narrow(1, 1, 1).pow(2).sum().backward();
  EXPECT_GT(router_ED.grad().abs().max().item<double>(), 0);
}

TEST_F(CausalRoutingTest, AUniformRouterMixesEvenly) {
  router_ED = at::zeros({3, 5}, at::kDouble);
  EXPECT_THAT(Route(hidden_BLD),
              NearTensor(at::full({2, 3, 3}, 1.0 / 3, at::kDouble), 1e-15));
}

TEST_F(CausalRoutingTest, ARaggedSequenceIsRefused) {
  EXPECT_THROW(Route(hidden_BLD.narrow(1, 0, kSegment + 1)), c10::Error);
}

TEST_F(CausalRoutingTest, StrictRoutingStartsWithTheGivenMixture) {
  const at::Tensor first_E =
      at::tensor({0.5, 0.25, 0.25}, at::kDouble).set_requires_grad(true);
  const at::Tensor routing =
      StrictlyCausalRouting(hidden_BLD, router_ED, kSegment, first_E);
  EXPECT_THAT(routing.select(1, 0), NearTensor(first_E.expand({2, 3}), 0));
  EXPECT_THAT(routing.narrow(1, 1, 2),
              NearTensor(Route(hidden_BLD).narrow(1, 1, 2), 0));
  routing.select(1, 0).sum().backward();
  EXPECT_THAT(first_E.grad(), NearTensor(at::full({3}, 2.0, at::kDouble), 0));
}

}  // namespace
}  // namespace lory::model
