#include "worker/model/expert_choice_feed_forward.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/variant_fixture.h"

namespace lory::model {
namespace {

using ::lory::testing::NearTensor;
using ExpertChoice = ::lory::v1::ExpertChoiceFeedForward;

lory::v1::FeedForwardSpec Spec(
    int32_t experts, double capacity,
    ExpertChoice::Level level = ExpertChoice::TOKEN,
    ExpertChoice::Group group = ExpertChoice::SEQUENCE) {
  lory::v1::FeedForwardSpec spec;
  ExpertChoice& options = *spec.mutable_expert_choice();
  options.set_expert_count(experts);
  options.set_capacity_factor(capacity);
  options.set_level(level);
  options.set_group(group);
  if (level == ExpertChoice::SEGMENT) options.set_segment_length(3);
  return spec;
}

at::Tensor TokenWishes(const Variant& variant) {
  return at::softmax(
      at::linear(variant.hidden_BLD, variant.Get(lory::config::kRouter)), -1);
}

// The wishes of four segments of three tokens, a row for each token.
at::Tensor SegmentWishes(const Variant& variant) {
  const at::Tensor own_BNE =
      at::softmax(at::linear(variant.hidden_BLD.unflatten(1, {4, 3}).mean(2),
                             variant.Get(lory::config::kRouter)),
                  -1);
  return at::cat({own_BNE.narrow(1, 0, 1), own_BNE.narrow(1, 0, 3)}, 1)
      .repeat_interleave(3, 1);
}

// All experts on all tokens, weighted with wishes where takes_BLE.
at::Tensor DenseLoop(const Variant& variant, const at::Tensor& wishes_BLE,
                     const at::Tensor& takes_BLE) {
  at::Tensor out = at::zeros_like(variant.hidden_BLD.detach());
  for (int64_t e = 0; e < wishes_BLE.size(2); ++e) {
    out = out + (wishes_BLE * takes_BLE).select(2, e).unsqueeze(-1) *
                    variant.Expert(e, variant.hidden_BLD);
  }
  return out;
}

// The `count` best of the dimension.
at::Tensor Best(const at::Tensor& wishes, int64_t count, int64_t dim) {
  const at::Tensor index = std::get<1>(at::topk(wishes, count, dim));
  return at::zeros_like(wishes).scatter(dim, index, 1);
}

TEST(ExpertChoice, InTrainingEveryExpertTakesItsShareOfTheTokens) {
  const struct {
    double capacity;
    int64_t tokens;
  } cases[] = {{1, 4}, {1.5, 6}, {0.01, 1}, {1.1, 5}, {3, 12}};
  for (const auto& c : cases) {
    const Variant variant(Spec(3, c.capacity));
    const at::Tensor wishes_BLE = TokenWishes(variant);
    EXPECT_THAT(variant.Out(kTrainingPass),
                NearTensor(DenseLoop(variant, wishes_BLE,
                                     Best(wishes_BLE, c.tokens, 1)),
                           1e-12))
        << c.capacity;
  }
}

TEST(ExpertChoice, AGroupMayBeTheWholeMicroBatch) {
  const Variant variant(Spec(3, 1, ExpertChoice::TOKEN, ExpertChoice::BATCH));
  const at::Tensor wishes_BLE = TokenWishes(variant);
  const at::Tensor takes_BLE =
      Best(wishes_BLE.flatten(0, 1), 8, 0).view(wishes_BLE.sizes());
  EXPECT_THAT(variant.Out(kTrainingPass),
              NearTensor(DenseLoop(variant, wishes_BLE, takes_BLE), 1e-12));
}

TEST(ExpertChoice, AtInferenceEveryTokenTakesItsBestExperts) {
  for (const auto& [capacity, experts] :
       {std::pair(1.0, 1), std::pair(1.6, 2), std::pair(0.2, 1)}) {
    const Variant variant(Spec(3, capacity));
    const at::Tensor wishes_BLE = TokenWishes(variant);
    EXPECT_THAT(
        variant.Out(kInferencePass),
        NearTensor(DenseLoop(variant, wishes_BLE, Best(wishes_BLE, experts, 2)),
                   1e-12));
  }
}

TEST(ExpertChoice, SegmentsAreTakenWholeByTheMeanBefore) {
  const Variant variant(Spec(3, 1.5, ExpertChoice::SEGMENT));
  const at::Tensor wishes_BLE = SegmentWishes(variant);
  // At inference: the two best of each. In training two of four segments an
  // expert, where the first two of a sequence tie and the earlier goes first.
  EXPECT_THAT(variant.Out(kInferencePass),
              NearTensor(DenseLoop(variant, wishes_BLE, Best(wishes_BLE, 2, 2)),
                         1e-12));
  const at::Tensor earlier_first =
      wishes_BLE.detach() -
      1e-9 * at::arange(12, at::kDouble).div(3, "floor").view({1, 12, 1});
  EXPECT_THAT(
      variant.Out(kTrainingPass),
      NearTensor(DenseLoop(variant, wishes_BLE, Best(earlier_first, 6, 1)),
                 1e-12));
}

TEST(ExpertChoice, GradientsMatchCentralDifferences) {
  for (const Pass& pass : {kTrainingPass, kInferencePass}) {
    Variant(Spec(3, 1)).ExpectGradientsMatchDifferences(pass);
    Variant(Spec(3, 2, ExpertChoice::TOKEN, ExpertChoice::BATCH))
        .ExpectGradientsMatchDifferences(pass);
  }
  // The router of the first segment is cut from the gradient, and experts of
  // all segments do learn.
  Variant(Spec(3, 3, ExpertChoice::SEGMENT))
      .ExpectGradientsMatchDifferences(kTrainingPass, /*first=*/3);
}

TEST(ExpertChoice, OneExpertIsTheDenseFeedForward) {
  for (const Pass& pass : {kTrainingPass, kInferencePass}) {
    const Variant variant(Spec(1, 1));
    EXPECT_THAT(variant.Out(pass),
                NearTensor(variant.Expert(0, variant.hidden_BLD), 1e-12));
  }
}

TEST(ExpertChoice, EqualExpertsWithRoomForAllAreTheDenseFeedForward) {
  const Variant variant(Spec(4, 4));
  variant.MakeExpertsEqual();
  EXPECT_THAT(variant.Out(kTrainingPass),
              NearTensor(variant.Expert(0, variant.hidden_BLD), 1e-12));
}

TEST(ExpertChoice, AtInferenceATokenMovesItselfAndItsSegmentTheNextOne) {
  const Variant tokens(Spec(3, 1));
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    const at::Tensor moved_BL = tokens.Moved(position, kInferencePass);
    EXPECT_EQ(moved_BL.sum().item<int64_t>(), 1);
    EXPECT_TRUE(moved_BL[0][position].item<bool>());
  }
  const Variant segments(Spec(3, 3, ExpertChoice::SEGMENT));
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    const at::Tensor moved_L = segments.Moved(position, kInferencePass)[0];
    const int64_t segment = position / 3;
    EXPECT_EQ(segments.FirstMoved(position, kInferencePass),
              segment == 0 ? 0 : position);
    EXPECT_EQ(moved_L.sum().item<int64_t>(),
              (segment == 0 ? 3 : 1) + (segment == 3 ? 0 : 3));
  }
}

TEST(ExpertChoice, InTrainingATokenMayTakeThePlaceOfAnEarlierOne) {
  const Variant variant(Spec(3, 1));
  bool reaches_back = false;
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    reaches_back |= variant.FirstMoved(position, kTrainingPass) < position;
  }
  EXPECT_TRUE(reaches_back);
}

TEST(ExpertChoice, StatisticsTellTokensThatNoExpertTook) {
  const Variant variant(Spec(3, 0.5));
  const at::Tensor rows =
      variant.layer->Forward(variant.hidden_BLD, kTrainingPass)
          .routing_RE.sum(-1);
  // Two tokens of twelve for each of three experts in both sequences.
  const int64_t routed = (rows > 0).sum().item<int64_t>();
  EXPECT_GE(routed, 4);
  EXPECT_LE(routed, 12);
  EXPECT_THAT(rows, NearTensor((rows > 0).to(at::kDouble), 1e-12));
}

}  // namespace
}  // namespace lory::model
