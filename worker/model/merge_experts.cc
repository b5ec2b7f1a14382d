#include "worker/model/merge_experts.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"

namespace lory::model {
namespace {

using ::lory::config::FeedForwardKind;
using ::lory::config::ModelShape;

constexpr char kExperts[] = ".mlp.experts.";

absl::Status CheckLory(const Transformer& model) {
  if (model.shape().feed_forward == FeedForwardKind::kLory) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      model.shape().expert_count == 0
          ? "the model is dense: it has no experts to route"
          : "only the experts of a Lory model can be merged for a text");
}

// How the routers spread over `tokens`, in sequences of at most the model's.
RoutingStats Route(const Transformer& model,
                   const std::vector<int64_t>& tokens) {
  at::NoGradGuard no_grad;
  RoutingStats stats;
  const int64_t length = model.shape().sequence_length;
  const int64_t count = static_cast<int64_t>(tokens.size());
  std::vector<int64_t> all = tokens;
  for (int64_t first = 0; first < count; first += length) {
    const at::Tensor tokens_BL = at::from_blob(
        all.data() + first, {1, std::min(length, count - first)}, at::kLong);
    stats.Add(model.Forward(tokens_BL, tokens_BL).routing);
  }
  return stats;
}

absl::StatusOr<LayerRouting> MeansOf(const RoutingStats& stats) {
  LayerRouting routing;
  for (int64_t layer = 0; layer < stats.layer_count(); ++layer) {
    if (stats.DecisionCount(layer) == 0) break;
    routing.push_back(stats.MeanWeights(layer));
  }
  if (!routing.empty()) return routing;
  return absl::InvalidArgumentError(
      "the text is too short: no router decides a segment of it; two segments "
      "are enough for any model");
}

absl::Status CheckRouting(const ModelShape& shape,
                          const LayerRouting& routing) {
  bool fits = static_cast<int64_t>(routing.size()) == shape.layer_count;
  for (const std::vector<double>& weights : routing) {
    fits = fits && static_cast<int64_t>(weights.size()) == shape.expert_count;
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the routing is not of ", shape.layer_count, " layers and ",
                   shape.expert_count, " experts"));
}

at::Tensor Merge(const at::Tensor& experts,
                 const std::vector<double>& weights) {
  at::Tensor merged = at::zeros(experts.sizes().slice(1), at::kDouble);
  for (size_t i = 0; i < weights.size(); ++i) {
    merged.add_(experts[static_cast<int64_t>(i)].to(at::kDouble), weights[i]);
  }
  return merged;
}

}  // namespace

LayerRouting UniformRouting(const ModelShape& shape) {
  return LayerRouting(
      shape.layer_count,
      std::vector<double>(shape.expert_count,
                          1.0 / static_cast<double>(shape.expert_count)));
}

absl::StatusOr<std::unique_ptr<Transformer>> WithOneSegment(
    const Transformer& model) {
  LORY_RETURN_IF_ERROR(CheckLory(model));
  lory::v1::ModelSpec spec = model.spec();
  lory::v1::LoryFeedForward& lory =
      *spec.mutable_feed_forward()->mutable_lory();
  lory.set_segment_length(spec.sequence_length());
  lory.set_first_segment(lory::v1::LoryFeedForward::SELF_STOP_GRADIENT);
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<Transformer> whole,
      Transformer::CreateUninitialised(spec, /*dense_phase=*/false));
  at::NoGradGuard no_grad;
  for (const Parameter& parameter : whole->parameters().parameters()) {
    parameter.value.copy_(model.parameters().Get(parameter.name));
  }
  return whole;
}

absl::StatusOr<LayerRouting> PromptRouting(const Transformer& model,
                                           const std::vector<int64_t>& tokens) {
  LORY_RETURN_IF_ERROR(CheckLory(model));
  const int64_t limit = model.shape().sequence_length;
  if (tokens.empty()) return absl::InvalidArgumentError("the prompt is empty");
  if (static_cast<int64_t>(tokens.size()) > limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", tokens.size(),
                     " tokens, the model's context is ", limit));
  }
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<Transformer> whole,
                        WithOneSegment(model));
  return MeansOf(Route(*whole, tokens));
}

absl::StatusOr<LayerRouting> AverageRouting(
    const Transformer& model, const std::vector<int64_t>& tokens) {
  LORY_RETURN_IF_ERROR(CheckLory(model));
  return MeansOf(Route(model, tokens));
}

absl::StatusOr<std::unique_ptr<Transformer>> MergeExperts(
    const Transformer& model, const LayerRouting& routing) {
  LORY_RETURN_IF_ERROR(CheckLory(model));
  LORY_RETURN_IF_ERROR(CheckRouting(model.shape(), routing));
  lory::v1::ModelSpec spec = model.spec();
  spec.mutable_feed_forward()->mutable_dense();
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<Transformer> dense,
      Transformer::CreateUninitialised(spec, /*dense_phase=*/false));
  at::NoGradGuard no_grad;
  const ParameterStore& from = model.parameters();
  for (const Parameter& parameter : dense->parameters().parameters()) {
    if (const Parameter* shared = from.Find(parameter.name)) {
      parameter.value.copy_(shared->value);
    }
  }
  for (int64_t layer = 0; layer < model.shape().layer_count; ++layer) {
    for (const auto name : {lory::config::kExpertGate, lory::config::kExpertUp,
                            lory::config::kExpertDown}) {
      const std::string experts =
          absl::StrCat(lory::config::LayerPrefix(layer), name);
      const std::string merged =
          absl::StrReplaceAll(experts, {{kExperts, ".mlp."}});
      dense->parameters().Get(merged).detach().copy_(
          Merge(from.Get(experts), routing[layer]));
    }
  }
  return dense;
}

}  // namespace lory::model
