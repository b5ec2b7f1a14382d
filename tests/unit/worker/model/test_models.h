#ifndef LORY_TESTS_UNIT_WORKER_MODEL_TEST_MODELS_H_
#define LORY_TESTS_UNIT_WORKER_MODEL_TEST_MODELS_H_

#include <ATen/ops/randint.h>

#include <memory>
#include <vector>

#include "common/base/check.h"
#include "worker/model/transformer.h"

// Models small enough for a test: two layers, three segments of four tokens.
namespace lory::model {

inline constexpr int64_t kVocabulary = 19;
inline constexpr int64_t kLength = 12;
inline constexpr int64_t kSegment = 4;

inline lory::v1::ModelSpec DenseSpec() {
  lory::v1::ModelSpec spec;
  spec.set_vocabulary_size(kVocabulary);
  spec.set_layer_count(2);
  spec.set_width(16);
  spec.set_head_count(4);
  spec.set_key_value_head_count(2);
  spec.set_feed_forward_width(24);
  spec.set_sequence_length(kLength);
  // Larger than usual, so that differences are well above rounding.
  spec.set_init_stddev(0.3);
  spec.mutable_feed_forward()->mutable_dense();
  return spec;
}

inline lory::v1::ModelSpec LorySpec(
    lory::v1::LoryFeedForward::FirstSegment first_segment =
        lory::v1::LoryFeedForward::SELF_STOP_GRADIENT,
    int32_t experts = 4) {
  lory::v1::ModelSpec spec = DenseSpec();
  auto* lory = spec.mutable_feed_forward()->mutable_lory();
  lory->set_expert_count(experts);
  lory->set_segment_length(kSegment);
  lory->set_first_segment(first_segment);
  lory->set_router_init_stddev(1);
  return spec;
}

// One of each variant whose first segment or pool looks ahead.
inline std::vector<lory::v1::ModelSpec> LeakingSpecs() {
  std::vector<lory::v1::ModelSpec> specs(6, DenseSpec());
  specs[0] = LorySpec();
  auto* prefix = specs[1].mutable_feed_forward()->mutable_prefix_routing();
  prefix->set_expert_count(4);
  prefix->set_segment_length(kSegment);
  prefix->set_router_init_stddev(1);
  auto* choice = specs[2].mutable_feed_forward()->mutable_expert_choice();
  choice->set_expert_count(4);
  choice->set_capacity_factor(2);
  choice->set_level(lory::v1::ExpertChoiceFeedForward::SEGMENT);
  choice->set_segment_length(kSegment);
  choice->set_router_init_stddev(1);
  for (const int pool : {0, 7}) {
    auto* smear =
        specs[pool == 0 ? 3 : 4].mutable_feed_forward()->mutable_smear();
    smear->set_expert_count(4);
    smear->set_pool_length(pool);
    smear->set_allow_noncausal(pool == 0);
  }
  auto* ensemble = specs[5].mutable_feed_forward()->mutable_weight_ensembling();
  ensemble->set_expert_count(2);
  ensemble->set_allow_noncausal(true);
  return specs;
}

inline std::unique_ptr<Transformer> MakeModel(const lory::v1::ModelSpec& spec,
                                              uint64_t seed = 1) {
  auto model = Transformer::Create(spec, /*dense_phase=*/false, seed);
  LORY_CHECK(model.ok());
  return *std::move(model);
}

inline at::Tensor RandomTokens(int64_t sequences, int64_t length = kLength) {
  return at::randint(0, kVocabulary, {sequences, length}, at::kLong);
}

}  // namespace lory::model

#endif  // LORY_TESTS_UNIT_WORKER_MODEL_TEST_MODELS_H_
