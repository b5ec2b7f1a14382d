#include "tools/model/eval/token_table.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/xlogy.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "common/base/check.h"

namespace lory::eval {

TokenTable::TokenTable(const lory::config::ModelShape& shape)
    : count_V_(at::zeros({shape.vocabulary_size}, at::kLong)) {
  for (int64_t i = 0; i < shape.layer_count; ++i) {
    weight_EV_.push_back(
        at::zeros({shape.expert_count, shape.vocabulary_size}, at::kFloat));
  }
}

void TokenTable::Record(const std::vector<at::Tensor>& routing_RE,
                        const at::Tensor& tokens_BL) {
  const at::Tensor tokens_R = tokens_BL.flatten();
  count_V_.index_add_(0, tokens_R, at::ones_like(tokens_R));
  for (size_t i = 0; i < weight_EV_.size(); ++i) {
    LORY_CHECK(routing_RE[i].size(0) == tokens_R.size(0));
    weight_EV_[i].index_add_(1, tokens_R, routing_RE[i].t().to(at::kFloat));
  }
}

std::vector<TokenShare> TokenTable::Top(int64_t layer, int64_t expert,
                                        int64_t count) const {
  const at::Tensor weight_V = weight_EV_[layer][expert].to(at::kDouble);
  const double all = count_V_.sum().item<double>();
  const double whole = weight_V.sum().item<double>() / std::max(1.0, all);
  if (whole == 0) return {};
  const at::Tensor share_V = weight_V / count_V_.clamp_min(1);
  const at::Tensor lift_V = share_V / whole;
  const at::Tensor score_V = at::xlogy(weight_V, lift_V);
  const auto [scores, tokens] =
      score_V.topk(std::min(count, score_V.size(0)), 0, true, true);
  std::vector<TokenShare> top;
  for (int64_t i = 0; i < tokens.size(0); ++i) {
    if (scores[i].item<double>() <= 0) break;
    const int64_t token = tokens[i].item<int64_t>();
    top.push_back({.token = token,
                   .count = count_V_[token].item<int64_t>(),
                   .share = share_V[token].item<double>(),
                   .lift = lift_V[token].item<double>()});
  }
  return top;
}

}  // namespace lory::eval
