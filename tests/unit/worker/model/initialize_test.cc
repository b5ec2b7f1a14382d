#include "worker/model/initialize.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "gtest/gtest.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/test_models.h"

namespace lory::model {
namespace {

TEST(InitializeParameters, DoesNotDependOnTheThreadCount) {
  lory::v1::ModelSpec spec = LorySpec();
  spec.set_vocabulary_size(5000);  // an embedding of several threads' shares
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto alone = MakeModel(spec);
  at::set_num_threads(3);
  const auto together = MakeModel(spec);
  at::set_num_threads(before);
  EXPECT_TRUE(alone->parameters().flat_values().equal(
      together->parameters().flat_values()));
}

TEST(InitializeParameters, AParameterDependsOnItsNameNotOnTheOthers) {
  const auto dense = MakeModel(DenseSpec());
  const auto lory = MakeModel(LorySpec());
  for (const absl::string_view name :
       {"lm_head.weight", "model.layers.1.self_attn.q_proj.weight"}) {
    EXPECT_TRUE(
        dense->parameters().Get(name).equal(lory->parameters().Get(name)))
        << name;
  }
}

TEST(InitializeParameters, SeedsAndNamesGiveDifferentNumbers) {
  const auto model = MakeModel(DenseSpec(), 1);
  const auto other = MakeModel(DenseSpec(), 2);
  EXPECT_FALSE(model->parameters()
                   .Get("lm_head.weight")
                   .equal(other->parameters().Get("lm_head.weight")));
  EXPECT_FALSE(
      model->parameters()
          .Get("lm_head.weight")
          .equal(model->parameters().Get("model.embed_tokens.weight")));
}

TEST(InitializeParameters, NumbersFollowTheSpecsNormalDistribution) {
  lory::v1::ModelSpec spec = LorySpec();
  spec.set_vocabulary_size(20000);
  spec.set_init_stddev(0.02);
  const auto model = MakeModel(spec);
  at::NoGradGuard no_grad;
  const at::Tensor numbers =
      model->parameters().Get("lm_head.weight").to(at::kDouble) / 0.02;
  // 320,000 numbers: five standard errors.
  EXPECT_NEAR(numbers.mean().item<double>(), 0, 0.009);
  EXPECT_NEAR(numbers.square().mean().item<double>(), 1, 0.0125);
  EXPECT_NEAR(numbers.pow(4).mean().item<double>(), 3, 0.09);
  EXPECT_GT(numbers.abs().max().item<double>(), 4);
  EXPECT_EQ(model->parameters().Get("model.norm.weight").sum().item<double>(),
            16);
}

TEST(InitializeParameters, GivesTheSameNumbersForEver) {
  // Pinned: a job resumed on another release must start where it did.
  const auto model = MakeModel(DenseSpec());
  const at::Tensor head = model->parameters().Get("lm_head.weight");
  EXPECT_FLOAT_EQ(head[0][0].item<float>(), 0.2808674f);
  EXPECT_FLOAT_EQ(head[18][15].item<float>(), 0.030564493f);
}

}  // namespace
}  // namespace lory::model
