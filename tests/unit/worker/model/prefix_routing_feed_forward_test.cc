#include "worker/model/prefix_routing_feed_forward.h"

#include <ATen/ops/softmax.h>

#include "tests/support/status_matchers.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "tests/unit/worker/model/variant_fixture.h"
#include "worker/model/upcycle.h"
#include "worker/ops/merged_feed_forward.h"

namespace lory::model {
namespace {

using ::lory::testing::NearTensor;

lory::v1::FeedForwardSpec Spec(int32_t experts = 3) {
  lory::v1::FeedForwardSpec spec;
  spec.mutable_prefix_routing()->set_expert_count(experts);
  spec.mutable_prefix_routing()->set_segment_length(4);
  return spec;
}

TEST(PrefixRouting, IsOneMixtureThatTheFirstSegmentAsksFor) {
  const Variant variant(Spec());
  const at::Tensor routing_BE =
      at::softmax(at::linear(variant.hidden_BLD.narrow(1, 0, 4).mean(1),
                             variant.Get(lory::config::kRouter)),
                  -1);
  EXPECT_THAT(variant.Out(kTrainingPass),
              NearTensor(lory::ops::MergedFeedForwardReference(
                             variant.hidden_BLD, routing_BE.unsqueeze(1),
                             variant.Get(lory::config::kExpertGate),
                             variant.Get(lory::config::kExpertUp),
                             variant.Get(lory::config::kExpertDown)),
                         1e-12));
}

TEST(PrefixRouting, GradientsMatchCentralDifferences) {
  Variant(Spec()).ExpectGradientsMatchDifferences(kTrainingPass, /*first=*/4);
}

TEST(PrefixRouting, TheFirstSegmentTeachesExpertsAndNotItsRouter) {
  const Variant variant(Spec());
  variant.Out(kTrainingPass).narrow(1, 0, 4).sum().backward();
  EXPECT_FALSE(variant.Get(lory::config::kRouter).grad().any().item<bool>());
  EXPECT_TRUE(variant.Get(lory::config::kExpertUp).grad().any().item<bool>());
}

TEST(PrefixRouting, OneExpertOrEqualOnesAreTheDenseFeedForward) {
  const Variant one(Spec(1));
  EXPECT_THAT(one.Out(kTrainingPass),
              NearTensor(one.Expert(0, one.hidden_BLD), 1e-12));
  const Variant equal(Spec());
  equal.MakeExpertsEqual();
  EXPECT_THAT(equal.Out(kTrainingPass),
              NearTensor(equal.Expert(0, equal.hidden_BLD), 1e-12));
}

TEST(PrefixRouting, OnlyTheFirstSegmentReachesBackAndAhead) {
  const Variant variant(Spec());
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    const at::Tensor moved_L = variant.Moved(position, kInferencePass)[0];
    if (position < 4) {
      EXPECT_TRUE(moved_L.all().item<bool>()) << position;
    } else {
      EXPECT_EQ(moved_L.sum().item<int64_t>(), 1) << position;
      EXPECT_TRUE(moved_L[position].item<bool>()) << position;
    }
  }
}

TEST(PrefixRouting, AShortSequenceIsOneSegment) {
  Variant variant(Spec());
  const at::Tensor all = variant.Out(kInferencePass);
  variant.hidden_BLD = variant.hidden_BLD.detach().narrow(1, 0, 3);
  const auto result = variant.layer->Forward(variant.hidden_BLD, {});
  EXPECT_EQ(result.out_BLD.size(1), 3);
  EXPECT_EQ(result.routing_RE.sizes(), (std::vector<int64_t>{2, 3}));
}

TEST(PrefixRouting, DuplicatedExpertsComputeWhatTheDenseModelDid) {
  const auto dense = MakeModel(DenseSpec());
  lory::v1::ModelSpec spec = DenseSpec();
  *spec.mutable_feed_forward() = Spec(4);
  LORY_ASSERT_OK_AND_ASSIGN(const auto experts,
                            UpcycleToExperts(*dense, spec, /*seed=*/5));
  const at::Tensor tokens = RandomTokens(3);
  EXPECT_THAT(experts->Logits(tokens), NearTensor(dense->Logits(tokens), 1e-5));
}

}  // namespace
}  // namespace lory::model
