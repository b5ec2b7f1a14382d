#include "worker/serve/served_feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <map>
#include <vector>

#include "worker/ops/swiglu.h"

namespace lory::serve {
namespace {

using Kind = ::lory::model::RoutingUnit::Kind;

at::Tensor FeedForward(const FeedForwardWeights& weights,
                       const at::Tensor& normed_RD) {
  const at::Tensor inner_RF =
      lory::ops::Swiglu(at::linear(normed_RD, weights.gate_FD),
                        at::linear(normed_RD, weights.up_FD));
  return at::linear(inner_RF, weights.down_DF);
}

}  // namespace

model::RoutingUnit ServedFeedForward::UnitOf(Inference inference) const {
  const model::Router& router = model_.router(0);
  return inference == Inference::kPrompt ? router.PromptUnit() : router.unit();
}

void ServedFeedForward::Give(int64_t layer, const at::Tensor& weights_X,
                             bool passing, FeedForwardState& state) {
  if (!model_.merges()) {
    state.mixed_X = weights_X;
    return;
  }
  state.weights.reset();  // the cache may drop them now
  const at::Tensor numbers = weights_X.contiguous();
  const float* const data = numbers.const_data_ptr<float>();
  const Routing routing(data, data + numbers.numel());
  state.weights =
      passing ? cache_.MergeOnce(layer, routing) : cache_.Get(layer, routing);
}

at::Tensor ServedFeedForward::Apply(int64_t layer, const at::Tensor& rows_RD,
                                    const FeedForwardState& state) const {
  if (state.weights) return FeedForward(*state.weights, rows_RD);
  return Mix(layer, rows_RD, state.mixed_X.expand({rows_RD.size(0), -1}));
}

at::Tensor ServedFeedForward::Mix(int64_t layer, const at::Tensor& rows_RD,
                                  const at::Tensor& weights_RE) const {
  at::Tensor out_RD = at::zeros_like(rows_RD);
  // Pairs of an expert and a row, in order of experts.
  const at::Tensor pairs_P2 = weights_RE.t().nonzero();
  const at::Tensor expert_P = pairs_P2.select(1, 0).contiguous();
  const at::Tensor row_P = pairs_P2.select(1, 1);
  const int64_t* const experts = expert_P.const_data_ptr<int64_t>();
  const int64_t count = expert_P.numel();
  for (int64_t first = 0, end = 0; first < count; first = end) {
    const int64_t expert = experts[first];
    end = std::upper_bound(experts + first, experts + count, expert) - experts;
    const at::Tensor rows = row_P.narrow(0, first, end - first);
    const at::Tensor weight_R =
        weights_RE.select(1, expert).index_select(0, rows);
    out_RD.index_add_(0, rows,
                      FeedForward(model_.expert(layer, expert),
                                  rows_RD.index_select(0, rows)) *
                          weight_R.unsqueeze(1));
  }
  return out_RD;
}

// ---- a prompt ----

at::Tensor ServedFeedForward::Read(const at::Tensor& normed_LD, int64_t layer,
                                   const ReadOptions& options,
                                   FeedForwardState& state,
                                   at::Tensor& weights_UX) {
  if (!model_.has_experts()) {
    state.weights = model_.layer(layer).dense;
    return FeedForward(*state.weights, normed_LD);
  }
  const model::Router& router = model_.router(layer);
  const model::RoutingUnit unit = UnitOf(options.inference);
  if (unit.kind == Kind::kToken) {
    if (router.has_slots()) {
      const auto filled = router.FillSlots(normed_LD, options.routed_count);
      weights_UX = filled.weights_LX;
      state.slots_XD = OfSlots(layer, filled.tokens_XD);
      return at::matmul(weights_UX, state.slots_XD);
    }
    weights_UX = router.Weights(normed_LD.unsqueeze(1));
    return Mix(layer, normed_LD, weights_UX);
  }
  if (unit.kind == Kind::kSegment) {
    return ReadSegments(normed_LD, layer, options, state, weights_UX);
  }
  const int64_t deciding = unit.Deciding(options.routed_count);
  weights_UX = router.Weights(normed_LD.narrow(0, 0, deciding).unsqueeze(0));
  Give(layer, weights_UX[0], /*passing=*/false, state);
  return Apply(layer, normed_LD, state);
}

at::Tensor ServedFeedForward::ReadSegments(const at::Tensor& normed_LD,
                                           int64_t layer,
                                           const ReadOptions& options,
                                           FeedForwardState& state,
                                           at::Tensor& weights_UX) {
  const model::Router& router = model_.router(layer);
  const int64_t length = normed_LD.size(0);
  const int64_t segment = UnitOf(options.inference).length;
  std::vector<at::Tensor> given = {router.FirstWeights()};
  if (!given[0].defined()) {
    const int64_t deciding = std::min({options.routed_count, segment, length});
    given[0] = router.Weights(normed_LD.narrow(0, 0, deciding).unsqueeze(0))[0];
  }
  std::vector<at::Tensor> outs;
  for (int64_t begin = 0; begin < length; begin += segment) {
    const at::Tensor own_TD =
        normed_LD.narrow(0, begin, std::min(segment, length - begin));
    const bool is_last = begin + segment >= length;
    Give(layer, given.back(), /*passing=*/!is_last, state);
    outs.push_back(Apply(layer, own_TD, state));
    if (is_last) {
      state.segment_sum_D = own_TD.sum(0);
    } else {
      given.push_back(router.Weights(own_TD.unsqueeze(0))[0]);
    }
  }
  weights_UX = at::stack(given);
  return at::cat(outs, 0);
}

at::Tensor ServedFeedForward::OfSlots(int64_t layer,
                                      const at::Tensor& tokens_XD) const {
  const int64_t experts = model_.shape().expert_count;
  const std::vector<at::Tensor> filled = tokens_XD.chunk(experts);
  std::vector<at::Tensor> outs;
  for (int64_t i = 0; i < experts; ++i) {
    outs.push_back(FeedForward(model_.expert(layer, i), filled[i]));
  }
  return at::cat(outs, 0);
}

at::Tensor ServedFeedForward::Shares(const at::Tensor& weights_UX,
                                     int64_t layer, int64_t length,
                                     Inference inference) const {
  const at::Tensor shares_UE = model_.router(layer).Shares(weights_UX);
  const int64_t units = shares_UE.size(0);
  if (inference == Inference::kSegment || units == 1) return shares_UE;
  const int64_t unit_length = UnitOf(inference).length;
  at::Tensor tokens_U =
      at::full({units}, static_cast<double>(unit_length), at::kFloat);
  tokens_U[units - 1] = static_cast<double>(length - (units - 1) * unit_length);
  return at::matmul(tokens_U / static_cast<double>(length), shares_UE)
      .unsqueeze(0);
}

// ---- one token of each text ----

void ServedFeedForward::TurnSegment(int64_t layer, int64_t segment_length,
                                    FeedForwardState& state) {
  const at::Tensor mean_D =
      state.segment_sum_D / static_cast<double>(segment_length);
  Give(layer, model_.router(layer).Weights(mean_D.view({1, 1, -1}))[0],
       /*passing=*/false, state);
  state.segment_sum_D.zero_();
}

at::Tensor ServedFeedForward::StepTokens(
    const at::Tensor& normed_BD, int64_t layer,
    std::span<const FeedForwardStep> steps) {
  const at::Tensor weights_BX =
      model_.router(layer).Weights(normed_BD.unsqueeze(1));
  if (!model_.router(layer).has_slots()) {
    return Mix(layer, normed_BD, weights_BX);
  }
  std::vector<at::Tensor> outs;
  for (size_t i = 0; i < steps.size(); ++i) {
    outs.push_back(at::matmul(weights_BX[static_cast<int64_t>(i)],
                              steps[i].state->slots_XD));
  }
  return at::stack(outs);
}

at::Tensor ServedFeedForward::Step(const at::Tensor& normed_BD, int64_t layer,
                                   std::span<const FeedForwardStep> steps) {
  if (model_.has_experts() &&
      model_.router(layer).unit().kind == Kind::kToken) {
    return StepTokens(normed_BD, layer, steps);
  }
  std::map<const FeedForwardWeights*, std::vector<int64_t>> rows_by_weights;
  std::vector<at::Tensor> mixed;
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    FeedForwardState& state = *steps[i].state;
    if (state.segment_sum_D.defined()) {
      const int64_t segment = UnitOf(steps[i].inference).length;
      if (steps[i].position % segment == 0) TurnSegment(layer, segment, state);
      state.segment_sum_D.add_(normed_BD[row]);
    }
    if (state.mixed_X.defined()) mixed.push_back(state.mixed_X);
    rows_by_weights[state.weights.get()].push_back(row);
  }
  if (!mixed.empty()) return Mix(layer, normed_BD, at::stack(mixed));
  if (rows_by_weights.size() == 1) {
    return FeedForward(*rows_by_weights.begin()->first, normed_BD);
  }
  at::Tensor out_BD = at::empty_like(normed_BD);
  for (const auto& [weights, rows] : rows_by_weights) {
    const at::Tensor index =
        at::tensor(at::ArrayRef<int64_t>(rows.data(), rows.size()));
    out_BD.index_copy_(0, index,
                       FeedForward(*weights, normed_BD.index_select(0, index)));
  }
  return out_BD;
}

}  // namespace lory::serve
