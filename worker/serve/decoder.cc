#include "worker/serve/decoder.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <map>

#include "worker/ops/attention.h"
#include "worker/ops/rms_norm.h"
#include "worker/ops/swiglu.h"

namespace lory::serve {
namespace {

at::Tensor FeedForward(const FeedForwardWeights& weights,
                       const at::Tensor& normed_RD) {
  const at::Tensor inner_RF =
      lory::ops::Swiglu(at::linear(normed_RD, weights.gate_FD),
                        at::linear(normed_RD, weights.up_FD));
  return at::linear(inner_RF, weights.down_DF);
}

at::Tensor TensorOf(std::span<const int64_t> numbers) {
  return at::tensor(at::ArrayRef<int64_t>(numbers.data(), numbers.size()));
}

}  // namespace

Decoder::Decoder(const ServedModel& model, MergedCache& cache)
    : model_(model), cache_(cache) {}

at::Tensor Decoder::Logits(const at::Tensor& hidden_RD) const {
  return at::linear(hidden_RD, model_.head_VD());
}

Routing Decoder::RoutingOf(const at::Tensor& mean_D, int64_t layer) const {
  const at::Tensor weights_E =
      at::softmax(at::mv(model_.layer(layer).router_ED, mean_D), -1)
          .contiguous();
  const float* const data = weights_E.const_data_ptr<float>();
  return {data, data + weights_E.numel()};
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
    std::vector<Routing> routing;
    hidden_LD = hidden_LD + ReadFeedForward(normed_LD, i, routed_count,
                                            inference, layer, routing);
    if (model_.has_experts()) pass.routing.push_back(std::move(routing));
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

at::Tensor Decoder::ReadFeedForward(const at::Tensor& normed_LD, int64_t layer,
                                    int64_t routed_count, Inference inference,
                                    SequenceState::Layer& state,
                                    std::vector<Routing>& routing) {
  if (!model_.has_experts()) {
    state.weights = model_.layer(layer).dense;
  } else if (inference == Inference::kSegment) {
    return ReadSegments(normed_LD, layer, state, routing);
  } else {
    routing.push_back(
        RoutingOf(normed_LD.narrow(0, 0, routed_count).mean(0), layer));
    state.weights = cache_.Get(layer, routing.back());
  }
  return FeedForward(*state.weights, normed_LD);
}

// As model::LoryFeedForward: the first segment by its policy, each other by the
// mean of the one before.
at::Tensor Decoder::ReadSegments(const at::Tensor& normed_LD, int64_t layer,
                                 SequenceState::Layer& state,
                                 std::vector<Routing>& routing) {
  const int64_t length = normed_LD.size(0);
  const int64_t segment = model_.shape().segment_length;
  const at::Tensor& first_E = model_.layer(layer).first_segment_E;
  std::vector<at::Tensor> outs;
  for (int64_t begin = 0; begin < length; begin += segment) {
    const at::Tensor own_TD =
        normed_LD.narrow(0, begin, std::min(segment, length - begin));
    if (begin > 0) {
      routing.push_back(RoutingOf(
          normed_LD.narrow(0, begin - segment, segment).mean(0), layer));
    } else if (first_E.defined()) {
      const float* const data = first_E.const_data_ptr<float>();
      routing.push_back({data, data + first_E.numel()});
    } else {
      routing.push_back(RoutingOf(own_TD.mean(0), layer));
    }
    const bool is_last = begin + segment >= length;
    if (!is_last) {
      outs.push_back(
          FeedForward(*cache_.MergeOnce(layer, routing.back()), own_TD));
      continue;
    }
    state.weights = cache_.Get(layer, routing.back());
    outs.push_back(FeedForward(*state.weights, own_TD));
    state.segment_sum_D = own_TD.sum(0);
  }
  return at::cat(outs, 0);
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
    hidden_BD = hidden_BD + StepFeedForward(normed_BD, i, states);
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

void Decoder::TurnSegment(int64_t layer, SequenceState& state) {
  SequenceState::Layer& own = state.layers[layer];
  const int64_t segment = model_.shape().segment_length;
  const Routing routing =
      RoutingOf(own.segment_sum_D / static_cast<double>(segment), layer);
  own.weights.reset();  // the cache may drop them now
  own.weights = cache_.Get(layer, routing);
  own.segment_sum_D.zero_();
}

at::Tensor Decoder::StepFeedForward(const at::Tensor& normed_BD, int64_t layer,
                                    std::span<SequenceState* const> states) {
  std::map<const FeedForwardWeights*, std::vector<int64_t>> rows_by_weights;
  for (size_t i = 0; i < states.size(); ++i) {
    SequenceState& state = *states[i];
    if (model_.has_experts() && state.inference == Inference::kSegment) {
      if (state.length % model_.shape().segment_length == 0) {
        TurnSegment(layer, state);
      }
      state.layers[layer].segment_sum_D.add_(
          normed_BD[static_cast<int64_t>(i)]);
    }
    rows_by_weights[state.layers[layer].weights.get()].push_back(
        static_cast<int64_t>(i));
  }
  if (rows_by_weights.size() == 1) {
    return FeedForward(*rows_by_weights.begin()->first, normed_BD);
  }
  at::Tensor out_BD = at::empty_like(normed_BD);
  for (const auto& [weights, rows] : rows_by_weights) {
    const at::Tensor index = TensorOf(rows);
    out_BD.index_copy_(0, index,
                       FeedForward(*weights, normed_BD.index_select(0, index)));
  }
  return out_BD;
}

}  // namespace lory::serve
