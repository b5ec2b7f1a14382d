#include "worker/model/upcycle.h"

#include <ATen/core/grad_mode.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "worker/model/initialize.h"

namespace lory::model {
namespace {

bool IsExpert(absl::string_view name) {
  return absl::StrContains(name, ".mlp.experts.");
}

std::string DenseName(absl::string_view name) {
  return absl::StrReplaceAll(name, {{".mlp.experts.", ".mlp."}});
}

// The spec but for its feed-forward, with the width of that spelled out.
lory::v1::ModelSpec SharedPart(const lory::v1::ModelSpec& spec,
                               const lory::config::ModelShape& shape) {
  lory::v1::ModelSpec shared = spec;
  shared.clear_feed_forward();
  shared.set_feed_forward_width(static_cast<int32_t>(shape.feed_forward_width));
  shared.set_key_value_head_count(
      static_cast<int32_t>(shape.key_value_head_count));
  shared.set_rotary_base(shape.rotary_base);
  shared.set_norm_epsilon(shape.norm_epsilon);
  shared.set_init_stddev(shape.init_stddev);
  return shared;
}

}  // namespace

absl::Status UpcycleBuffer(const ParameterStore& dense,
                           const at::Tensor& dense_flat,
                           const ParameterStore& experts, double expert_scale,
                           const at::Tensor& experts_flat) {
  at::NoGradGuard no_grad;
  for (const Parameter& target : experts.parameters()) {
    const at::Tensor to = ParameterStore::ViewOf(experts_flat, target);
    if (lory::config::IsRoutingParameter(target.name)) {
      to.zero_();
      continue;
    }
    const Parameter* source = dense.Find(DenseName(target.name));
    if (source == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("the dense model has nothing to become ", target.name));
    }
    const at::Tensor from = ParameterStore::ViewOf(dense_flat, *source);
    const bool is_expert = IsExpert(target.name);
    // A view of E dimensions broadcasts the dense matrix to every expert.
    if (from.sizes() != (is_expert ? to.sizes().slice(1) : to.sizes())) {
      return absl::InvalidArgumentError(
          absl::StrCat(target.name, " does not have the dense model's shape"));
    }
    to.copy_(from);
    if (is_expert && expert_scale != 1) to.mul_(expert_scale);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Transformer>> UpcycleToExperts(
    const Transformer& dense, const lory::v1::ModelSpec& spec, uint64_t seed) {
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<Transformer> model,
      Transformer::CreateUninitialised(spec, /*dense_phase=*/false));
  const lory::config::ModelShape& shape = model->shape();
  if (shape.expert_count == 0) {
    return absl::InvalidArgumentError(
        "model.feed_forward: only a model with experts can be made from a "
        "dense "
        "one");
  }
  if (dense.shape().feed_forward != lory::config::FeedForwardKind::kDense) {
    return absl::InvalidArgumentError(
        "the model to start from has experts already: give a dense one");
  }
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  if (!differencer.Compare(SharedPart(dense.spec(), dense.shape()),
                           SharedPart(spec, shape))) {
    return absl::InvalidArgumentError(
        absl::StrCat("the dense model's spec is another: ", difference));
  }
  LORY_RETURN_IF_ERROR(UpcycleBuffer(
      dense.parameters(), dense.parameters().flat_values(), model->parameters(),
      /*expert_scale=*/1, model->parameters().flat_values()));
  for (const auto& parameter : ParameterShapes(shape)) {
    if (!lory::config::IsRoutingParameter(parameter.name)) continue;
    InitializeParameter(shape, seed, parameter.name, model->parameters());
  }
  return model;
}

}  // namespace lory::model
