#include "worker/serve/decoder.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include <array>
#include <utility>

#include "worker/ops/attention.h"
#include "worker/ops/rms_norm.h"

namespace lory::serve {
namespace {

at::Tensor TensorOf(std::span<const int64_t> numbers) {
  return at::tensor(at::ArrayRef<int64_t>(numbers.data(), numbers.size()));
}

}  // namespace

Decoder::Decoder(const ServedModel& model, MergedCache& cache)
    : model_(model), feed_forward_(model, cache) {}

at::Tensor Decoder::Logits(const at::Tensor& hidden_RD) const {
  return at::linear(hidden_RD, model_.head_VD());
}

std::vector<std::vector<Routing>> Decoder::RoutingOf(
    const PromptPass& pass, Inference inference) const {
  std::vector<std::vector<Routing>> layers;
  for (size_t i = 0; i < pass.weights.size(); ++i) {
    const at::Tensor shares_UE =
        feed_forward_
            .Shares(pass.weights[i], static_cast<int64_t>(i),
                    pass.hidden_LD.size(0), inference)
            .contiguous();
    const float* const data = shares_UE.const_data_ptr<float>();
    const int64_t experts = shares_UE.size(1);
    std::vector<Routing>& units = layers.emplace_back();
    for (int64_t unit = 0; unit < shares_UE.size(0); ++unit) {
      units.emplace_back(data + unit * experts, data + (unit + 1) * experts);
    }
  }
  return layers;
}

// ---- a prompt: layer by layer, all tokens at once ----

PromptPass Decoder::ReadPrompt(std::span<const int64_t> tokens,
                               int64_t routed_count, Inference inference,
                               int64_t capacity, SequenceState& state) {
  const auto& shape = model_.shape();
  state.inference = inference;
  state.length = static_cast<int64_t>(tokens.size());
  state.layers.resize(shape.layer_count);
  PromptPass pass;
  at::Tensor hidden_LD = at::embedding(model_.embedding_VD(), TensorOf(tokens));
  for (int64_t i = 0; i < shape.layer_count; ++i) {
    SequenceState::Layer& layer = state.layers[i];
    const std::array<int64_t, 3> room = {shape.key_value_head_count, capacity,
                                         shape.head_width};
    layer.keys_GLK = at::empty(room, at::kFloat);
    layer.values_GLK = at::empty(room, at::kFloat);
    hidden_LD = hidden_LD + ReadAttention(hidden_LD, i, layer);
    const at::Tensor normed_LD = lory::ops::RmsNorm(
        hidden_LD, model_.layer(i).feed_forward_norm_D, shape.norm_epsilon);
    at::Tensor weights_UX;
    hidden_LD = hidden_LD + feed_forward_.Read(normed_LD, i,
                                               {.inference = inference,
                                                .routed_count = routed_count},
                                               layer.feed_forward, weights_UX);
    if (model_.has_experts()) pass.weights.push_back(std::move(weights_UX));
  }
  pass.hidden_LD =
      lory::ops::RmsNorm(hidden_LD, model_.norm_D(), shape.norm_epsilon);
  return pass;
}

at::Tensor Decoder::ReadAttention(const at::Tensor& hidden_LD, int64_t layer,
                                  SequenceState::Layer& state) const {
  const auto& shape = model_.shape();
  const ServedModel::Layer& weights = model_.layer(layer);
  const at::Tensor normed_1LD =
      lory::ops::RmsNorm(hidden_LD, weights.attention_norm_D,
                         shape.norm_epsilon)
          .unsqueeze(0);
  const auto project = [&](const at::Tensor& weight) {
    return at::linear(normed_1LD, weight).unflatten(2, {-1, shape.head_width});
  };
  const at::Tensor query =
      lory::ops::ApplyRotary(project(weights.query), model_.rotary());
  const at::Tensor key =
      lory::ops::ApplyRotary(project(weights.key), model_.rotary());
  const at::Tensor value = project(weights.value);
  const int64_t length = hidden_LD.size(0);
  state.keys_GLK.narrow(1, 0, length).copy_(key[0].transpose(0, 1));
  state.values_GLK.narrow(1, 0, length).copy_(value[0].transpose(0, 1));
  return at::linear(lory::ops::CausalAttention(query, key, value)[0].flatten(1),
                    weights.output);
}

// ---- one token of each text ----

at::Tensor Decoder::Step(std::span<SequenceState* const> states,
                         std::span<const int64_t> tokens) {
  const auto& shape = model_.shape();
  std::vector<int64_t> positions;
  for (const SequenceState* state : states) positions.push_back(state->length);
  const at::Tensor rows = TensorOf(positions);
  const lory::ops::RotaryTable rotary = {
      model_.rotary().cosine.index_select(0, rows),
      model_.rotary().sine.index_select(0, rows)};
  at::Tensor hidden_BD = at::embedding(model_.embedding_VD(), TensorOf(tokens));
  for (int64_t i = 0; i < shape.layer_count; ++i) {
    hidden_BD = hidden_BD + StepAttention(hidden_BD, i, rotary, states);
    const at::Tensor normed_BD = lory::ops::RmsNorm(
        hidden_BD, model_.layer(i).feed_forward_norm_D, shape.norm_epsilon);
    std::vector<FeedForwardStep> steps;
    for (SequenceState* state : states) {
      steps.push_back({.inference = state->inference,
                       .position = state->length,
                       .state = &state->layers[i].feed_forward});
    }
    hidden_BD = hidden_BD + feed_forward_.Step(normed_BD, i, steps);
  }
  for (SequenceState* state : states) ++state->length;
  return Logits(
      lory::ops::RmsNorm(hidden_BD, model_.norm_D(), shape.norm_epsilon));
}

at::Tensor Decoder::StepAttention(
    const at::Tensor& hidden_BD, int64_t layer,
    const lory::ops::RotaryTable& rotary,
    std::span<SequenceState* const> states) const {
  const auto& shape = model_.shape();
  const ServedModel::Layer& weights = model_.layer(layer);
  // The texts stand where a sequence's tokens would: each has its own angle.
  const at::Tensor normed_1BD =
      lory::ops::RmsNorm(hidden_BD, weights.attention_norm_D,
                         shape.norm_epsilon)
          .unsqueeze(0);
  const auto project = [&](const at::Tensor& weight) {
    return at::linear(normed_1BD, weight).unflatten(2, {-1, shape.head_width});
  };
  const at::Tensor query_BHK =
      lory::ops::ApplyRotary(project(weights.query), rotary)[0];
  const at::Tensor key_BGK =
      lory::ops::ApplyRotary(project(weights.key), rotary)[0];
  const at::Tensor value_BGK = project(weights.value)[0];
  at::Tensor mixed_BX = at::empty(
      {hidden_BD.size(0), shape.head_count * shape.head_width}, at::kFloat);
  const int64_t groups = shape.key_value_head_count;
  // One crossing of threads for all texts, not several for each.
  const auto count = static_cast<int64_t>(states.size());
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;  // each thread has its own
    for (int64_t row = begin; row < end; ++row) {
      const SequenceState::Layer& state = states[row]->layers[layer];
      const int64_t length = states[row]->length;
      state.keys_GLK.select(1, length).copy_(key_BGK[row]);
      state.values_GLK.select(1, length).copy_(value_BGK[row]);
      // Heads that share keys stand in a row: as queries of one head.
      const at::Tensor mixed = at::scaled_dot_product_attention(
          query_BHK[row].unflatten(0, {groups, -1}).unsqueeze(0),
          state.keys_GLK.narrow(1, 0, length + 1).unsqueeze(0),
          state.values_GLK.narrow(1, 0, length + 1).unsqueeze(0));
      mixed_BX[row].copy_(mixed.flatten());
    }
  });
  return at::linear(mixed_BX, weights.output);
}

}  // namespace lory::serve
