#include "tools/model/weight_ensemble.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include "tests/unit/tools/model/models.h"
#include "tools/model/task_arithmetic.h"

namespace lory::surgery {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;
using ::lory::model::RandomTokens;
using ::lory::testing::StatusIs;
using ::testing::HasSubstr;
using Options = ::lory::v1::WeightEnsemblingFeedForward;

struct WeightEnsembleTest : ::testing::Test {
  WeightEnsembleTest() {
    tuned.push_back(MakeModel(DenseSpec(), 2));
    tuned.push_back(MakeModel(DenseSpec(), 3));
    options.set_initial_weight(0.25);
    options.set_gate(Options::CONSTANT);
  }

  std::unique_ptr<lory::model::Transformer> base = MakeModel(DenseSpec(), 1);
  std::vector<std::unique_ptr<lory::model::Transformer>> tuned;
  Options options;
};

TEST_F(WeightEnsembleTest, AConstantGateIsTaskArithmetic) {
  LORY_ASSERT_OK_AND_ASSIGN(const auto ensemble,
                            MakeWeightEnsemble(*base, tuned, options, 1));
  LORY_ASSERT_OK_AND_ASSIGN(const auto sum, TaskArithmetic::Start(*base));
  for (const auto& model : tuned) ASSERT_OK(sum->Add(*model, 0.25));
  LORY_ASSERT_OK_AND_ASSIGN(const auto merged, sum->Finish());
  at::NoGradGuard no_grad;
  const at::Tensor tokens = RandomTokens(3);
  EXPECT_TRUE(
      ensemble->Logits(tokens).allclose(merged->Logits(tokens), 1e-4, 1e-5));
  EXPECT_EQ(ensemble->shape().expert_count, 2);
  EXPECT_EQ(lory::config::ActiveParameterCount(ensemble->shape()),
            lory::config::ParameterCount(base->shape()));
}

TEST_F(WeightEnsembleTest, OneModelInFullIsThatModel) {
  tuned.pop_back();
  options.set_initial_weight(1);
  LORY_ASSERT_OK_AND_ASSIGN(const auto ensemble,
                            MakeWeightEnsemble(*base, tuned, options, 1));
  at::NoGradGuard no_grad;
  const at::Tensor tokens = RandomTokens(3);
  EXPECT_TRUE(
      ensemble->Logits(tokens).allclose(tuned[0]->Logits(tokens), 1e-4, 1e-5));
}

TEST_F(WeightEnsembleTest, WhatDoesNotFitIsRefused) {
  const auto expect_refused = [&](const char* why) {
    EXPECT_THAT(MakeWeightEnsemble(*base, tuned, options, 1),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  options.set_gate(Options::LINEAR);
  expect_refused("allow_noncausal");
  options.set_pool_length(4);
  auto wide = DenseSpec();
  wide.set_vocabulary_size(20);
  tuned[1] = MakeModel(wide);
  expect_refused("model 2 to add");
  tuned.clear();
  expect_refused("expert_count");
  base = MakeModel(LorySpec());
  expect_refused("must be dense");
}

}  // namespace
}  // namespace lory::surgery
