#include "tools/model/weight_ensemble.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tools/model/checkpoint_folder.h"
#include "tools/model/task_arithmetic.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

using ::lory::model::Transformer;
using Models = std::vector<std::unique_ptr<Transformer>>;

// Of the dense model and of the ensemble.
constexpr std::pair<absl::string_view, absl::string_view> kMatrices[] = {
    {lory::config::kGate, lory::config::kExpertGate},
    {lory::config::kUp, lory::config::kExpertUp},
    {lory::config::kDown, lory::config::kExpertDown}};

absl::StatusOr<std::unique_ptr<Transformer>> Sum(const Transformer& base,
                                                 const Models& tuned,
                                                 double weight) {
  LORY_ASSIGN_OR_RETURN(const auto sum, TaskArithmetic::Start(base));
  for (size_t i = 0; i < tuned.size(); ++i) {
    const absl::Status added = sum->Add(*tuned[i], weight);
    if (!added.ok()) {
      return Annotate(added, absl::StrCat("model ", i + 1, " to add"));
    }
  }
  return sum->Finish();
}

// Base and task vectors into the stacks of one layer.
void FillExperts(const Transformer& base, const Models& tuned, int64_t layer,
                 Transformer& ensemble) {
  const std::string prefix = lory::config::LayerPrefix(layer);
  for (const auto& [dense, experts] : kMatrices) {
    const std::string name = absl::StrCat(prefix, dense);
    const at::Tensor stack =
        ensemble.parameters().Get(absl::StrCat(prefix, experts)).detach();
    const at::Tensor from = base.parameters().Get(name).detach();
    stack[0].copy_(from);
    for (size_t i = 0; i < tuned.size(); ++i) {
      stack[static_cast<int64_t>(i) + 1].copy_(
          tuned[i]->parameters().Get(name).detach() - from);
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transformer>> MakeWeightEnsemble(
    const Transformer& base, const Models& tuned,
    const lory::v1::WeightEnsemblingFeedForward& options, uint64_t seed) {
  if (base.shape().expert_count > 0) {
    return absl::InvalidArgumentError("the base has experts; it must be dense");
  }
  lory::v1::ModelSpec spec = SpecAsIs(base);
  auto& weighted = *spec.mutable_feed_forward()->mutable_weight_ensembling();
  weighted = options;
  weighted.set_expert_count(static_cast<int32_t>(tuned.size()));
  LORY_ASSIGN_OR_RETURN(const lory::config::ModelShape shape,
                        lory::config::ResolveModelShape(spec));
  LORY_ASSIGN_OR_RETURN(
      const auto rest,
      Sum(base, tuned,
          shape.feed_forward_spec.weight_ensembling().initial_weight()));
  return lory::train::GuardTorch(
      "ensembling", [&]() -> absl::StatusOr<std::unique_ptr<Transformer>> {
        LORY_ASSIGN_OR_RETURN(
            std::unique_ptr<Transformer> ensemble,
            Transformer::Create(spec, /*dense_phase=*/false, seed));
        at::NoGradGuard no_grad;
        for (const auto& parameter : ensemble->parameters().parameters()) {
          const auto* same = rest->parameters().Find(parameter.name);
          if (same != nullptr) parameter.value.copy_(same->value);
        }
        for (int64_t layer = 0; layer < shape.layer_count; ++layer) {
          FillExperts(base, tuned, layer, *ensemble);
        }
        return ensemble;
      });
}

}  // namespace lory::surgery
