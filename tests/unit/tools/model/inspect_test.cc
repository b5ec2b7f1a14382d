#include "tools/model/inspect.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/unit/tools/model/models.h"

namespace lory::surgery {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;
using ::testing::HasSubstr;

Inspection InspectModel(std::unique_ptr<lory::model::Transformer> model) {
  LoadedCheckpoint checkpoint;
  checkpoint.manifest.job = "jobs/test";
  checkpoint.manifest.checkpoint.set_step(7);
  checkpoint.model = std::move(model);
  auto inspection = Inspect(checkpoint);
  EXPECT_OK(inspection);
  return *inspection;
}

at::Tensor Values(lory::model::Transformer& model, const std::string& name) {
  return model.parameters().Get(name).detach();
}

TEST(Inspect, CountsAndNormsEveryTensor) {
  auto model = MakeModel(DenseSpec());
  Values(*model, "model.norm.weight").fill_(0.5);  // 16 numbers
  Values(*model, "lm_head.weight")[0][0] = std::nanf("");
  const Inspection inspection = InspectModel(std::move(model));
  EXPECT_EQ(inspection.tensors.size(), 1 + 2 * 9 + 2);
  EXPECT_DOUBLE_EQ(inspection.tensors.end()[-2].norm, 2);
  EXPECT_EQ(inspection.tensors.end()[-2].nonfinite_count, 0);
  EXPECT_EQ(inspection.tensors.end()[-1].nonfinite_count, 1);
  EXPECT_EQ(inspection.parameter_count, inspection.active_parameter_count);
  EXPECT_TRUE(inspection.layers.empty());
  EXPECT_THAT(ToText(inspection), HasSubstr("1 not finite"));
}

TEST(Inspect, ExpertDistanceIsRelativeToTheirNorm) {
  auto model = MakeModel(LorySpec());
  // Layer 0: expert e is the e-th of four orthogonal matrices of norm 3, but
  // only in the gate; layer 1: all alike.
  for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
    const std::string rest = std::string("mlp.experts.") + name + ".weight";
    Values(*model, "model.layers.0." + rest).zero_();
    Values(*model, "model.layers.1." + rest).fill_(0.1);
  }
  const at::Tensor gate =
      Values(*model, "model.layers.0.mlp.experts.gate_proj.weight");
  for (int64_t e = 0; e < 4; ++e) gate[e][0][e] = 3;
  Values(*model, "model.layers.0.mlp.router.weight").fill_(0.25);
  const Inspection inspection = InspectModel(std::move(model));
  ASSERT_EQ(inspection.layers.size(), 2);
  EXPECT_NEAR(inspection.layers[0].expert_distance, std::sqrt(2), 1e-12);
  EXPECT_NEAR(inspection.layers[1].expert_distance, 0, 1e-12);
  EXPECT_NEAR(inspection.layers[0].router_row_norms[3], 1, 1e-12);
  EXPECT_GT(inspection.parameter_count, inspection.active_parameter_count);
}

TEST(Inspect, JsonSaysTheSame) {
  const Inspection inspection = InspectModel(MakeModel(LorySpec()));
  const auto json = nlohmann::json::parse(ToJson(inspection));
  EXPECT_EQ(json["step"], 7);
  EXPECT_EQ(json["model"]["feed_forward"], "lory");
  EXPECT_EQ(json["model"]["expert_count"], 4);
  EXPECT_EQ(json["parameters"]["total"], inspection.parameter_count);
  EXPECT_EQ(json["tensors"].size(), inspection.tensors.size());
  EXPECT_EQ(json["layers"][1]["router_row_norms"].size(), 4);
}

TEST(Inspect, EveryVariantIsDescribed) {
  lory::v1::ModelSpec spec = DenseSpec();
  spec.mutable_feed_forward()->mutable_token_choice()->set_expert_count(4);
  const Inspection chosen = InspectModel(MakeModel(spec));
  EXPECT_THAT(ToText(chosen),
              HasSubstr("token_choice, 4 experts, 2 for each token"));
  EXPECT_EQ(chosen.layers[1].router_row_norms.size(), 4);
  EXPECT_GT(chosen.layers[1].expert_distance, 1);

  auto& soft = *spec.mutable_feed_forward()->mutable_soft_moe();
  soft.set_expert_count(4);
  soft.set_allow_noncausal(true);
  EXPECT_TRUE(InspectModel(MakeModel(spec)).layers[0].router_row_norms.empty());

  auto& weighted = *spec.mutable_feed_forward()->mutable_weight_ensembling();
  weighted.set_expert_count(3);
  weighted.set_pool_length(4);
  auto model = MakeModel(spec);
  for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
    // Task vectors that are alike, whatever the base.
    Values(*model,
           std::string("model.layers.0.mlp.experts.") + name + ".weight")
        .narrow(0, 1, 3)
        .fill_(0.1);
  }
  const Inspection tasks = InspectModel(std::move(model));
  EXPECT_NEAR(tasks.layers[0].expert_distance, 0, 1e-12);
  EXPECT_GT(tasks.layers[1].expert_distance, 1);
  EXPECT_EQ(nlohmann::json::parse(ToJson(tasks))["model"]["feed_forward"],
            "weight_ensembling");
}

}  // namespace
}  // namespace lory::surgery
