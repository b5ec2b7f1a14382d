#include "worker/model/dense_feed_forward.h"

#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/model/variant_fixture.h"

namespace lory::model {
namespace {

using ::lory::testing::NearTensor;

lory::v1::FeedForwardSpec Spec() {
  lory::v1::FeedForwardSpec spec;
  spec.mutable_dense();
  return spec;
}

TEST(DenseFeedForward, IsSwiglu) {
  const Variant variant(Spec());
  const at::Tensor inner = at::silu(
      at::linear(variant.hidden_BLD, variant.Get(lory::config::kGate)));
  EXPECT_THAT(
      variant.Out(kTrainingPass),
      NearTensor(at::linear(inner * at::linear(variant.hidden_BLD,
                                               variant.Get(lory::config::kUp)),
                            variant.Get(lory::config::kDown)),
                 1e-12));
}

TEST(DenseFeedForward, GradientsMatchCentralDifferences) {
  Variant(Spec()).ExpectGradientsMatchDifferences(kTrainingPass);
}

TEST(DenseFeedForward, ATokenMovesItselfAlone) {
  const Variant variant(Spec());
  for (int64_t position = 0; position < Variant::kTokens; ++position) {
    const at::Tensor moved_BL = variant.Moved(position, kInferencePass);
    EXPECT_EQ(moved_BL.sum().item<int64_t>(), 1);
    EXPECT_TRUE(moved_BL[0][position].item<bool>());
  }
}

}  // namespace
}  // namespace lory::model
