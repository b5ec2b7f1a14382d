#include "worker/model/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>

#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "worker/model/initialize.h"
#include "worker/ops/linear_cross_entropy.h"
#include "worker/ops/rms_norm.h"

namespace lory::model {

using ::lory::config::ModelShape;

namespace {

void CheckSameShape(const at::Tensor& tokens_BL, const at::Tensor& targets_BL) {
  TORCH_CHECK(tokens_BL.sizes() == targets_BL.sizes(), "tokens ",
              tokens_BL.sizes(), " and targets ", targets_BL.sizes(),
              " must have one shape");
}

}  // namespace

Transformer::Transformer(const lory::v1::ModelSpec& spec, bool dense_phase,
                         const ModelShape& shape)
    : spec_(spec),
      dense_phase_(dense_phase),
      shape_(shape),
      parameters_(lory::config::ParameterShapes(shape)),
      rotary_(lory::ops::MakeRotaryTable(shape.sequence_length,
                                         shape.head_width, shape.rotary_base,
                                         at::kFloat)),
      embedding_VD_(parameters_.Get(lory::config::kEmbeddingName)),
      norm_D_(parameters_.Get(lory::config::kFinalNormName)),
      head_VD_(parameters_.Get(lory::config::kHeadName)) {
  for (int64_t i = 0; i < shape.layer_count; ++i) {
    layers_.push_back(
        {AttentionLayer(shape, parameters_, i),
         parameters_.Get(absl::StrCat(lory::config::LayerPrefix(i),
                                      lory::config::kFeedForwardNorm)),
         MakeFeedForward(shape, parameters_, i)});
  }
}

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::CreateUninitialised(
    const lory::v1::ModelSpec& spec, bool dense_phase) {
  LORY_ASSIGN_OR_RETURN(ModelShape shape,
                        lory::config::ResolveModelShape(spec));
  if (dense_phase) shape = lory::config::DensePhaseShape(shape);
  return absl::WrapUnique(new Transformer(spec, dense_phase, shape));
}

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::Create(
    const lory::v1::ModelSpec& spec, bool dense_phase, uint64_t seed) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<Transformer> model,
                        CreateUninitialised(spec, dense_phase));
  InitializeParameters(model->shape_, seed, model->parameters_);
  return model;
}

at::Tensor ForwardResult::TrainingLoss() const {
  return auxiliary_sum.defined() ? loss_sum + auxiliary_sum : loss_sum;
}

at::Tensor Transformer::Hidden(const at::Tensor& tokens_BL, const Pass& pass,
                               Routed* routed) const {
  TORCH_CHECK(tokens_BL.dim() == 2 && tokens_BL.scalar_type() == at::kLong,
              "tokens must be int64 of two dimensions");
  TORCH_CHECK(tokens_BL.size(1) <= shape_.sequence_length, "sequence of ",
              tokens_BL.size(1), " tokens, but the model is made for ",
              shape_.sequence_length);
  at::Tensor hidden_BLD = at::embedding(embedding_VD_, tokens_BL);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    hidden_BLD = hidden_BLD + layer.attention.Forward(hidden_BLD, rotary_);
    Pass layer_pass = pass;
    layer_pass.noise_seed = Mix64(pass.noise_seed + i);
    const FeedForwardResult result = layer.feed_forward->Forward(
        lory::ops::RmsNorm(hidden_BLD, layer.feed_forward_norm_D,
                           shape_.norm_epsilon),
        layer_pass);
    hidden_BLD = hidden_BLD + result.out_BLD;
    if (routed == nullptr) continue;
    routed->loads.push_back(result.load);
    if (shape_.expert_count > 0) routed->routing.push_back(result.routing_RE);
  }
  return lory::ops::RmsNorm(hidden_BLD, norm_D_, shape_.norm_epsilon);
}

ForwardResult Transformer::Forward(const at::Tensor& tokens_BL,
                                   const at::Tensor& targets_BL,
                                   const Pass& pass) const {
  CheckSameShape(tokens_BL, targets_BL);
  Routed routed;
  const at::Tensor hidden_BLD = Hidden(tokens_BL, pass, &routed);
  ForwardResult result;
  if (shape_.expert_count > 0) {
    result.routing = RoutingStats(shape_.layer_count, shape_.expert_count);
    for (int64_t i = 0; i < shape_.layer_count; ++i) {
      result.routing.Record(i, routed.routing[i]);
    }
  }
  result.loss_sum =
      pass.entropy
          ? lory::ops::LinearEntropy(hidden_BLD.flatten(0, 1), head_VD_)
          : lory::ops::LinearCrossEntropy(hidden_BLD.flatten(0, 1), head_VD_,
                                          targets_BL.flatten());
  result.token_count = pass.entropy ? targets_BL.numel()
                                    : (targets_BL >= 0).sum().item<int64_t>();
  if (pass.training) {
    const at::Tensor loss =
        layers_[0].feed_forward->AuxiliaryLoss(routed.loads);
    if (loss.defined()) result.auxiliary_sum = loss * result.token_count;
  }
  return result;
}

at::Tensor Transformer::TokenLosses(const at::Tensor& tokens_BL,
                                    const at::Tensor& targets_BL,
                                    const Pass& pass,
                                    std::vector<at::Tensor>* routing) const {
  at::NoGradGuard no_grad;
  CheckSameShape(tokens_BL, targets_BL);
  Routed routed;
  const at::Tensor hidden_BLD = Hidden(tokens_BL, pass, &routed);
  if (routing != nullptr) *routing = std::move(routed.routing);
  return lory::ops::LinearCrossEntropyOfRows(hidden_BLD.flatten(0, 1), head_VD_,
                                             targets_BL.flatten())
      .view(targets_BL.sizes());
}

at::Tensor Transformer::Logits(const at::Tensor& tokens_BL) const {
  return at::linear(Hidden(tokens_BL, Pass(), nullptr), head_VD_);
}

}  // namespace lory::model
