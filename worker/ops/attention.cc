#include "worker/ops/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include <cmath>
#include <limits>

namespace lory::ops {
namespace {

// BLGK -> BHLK, each head of keys standing H / G times in a row.
at::Tensor HeadsFirst(const at::Tensor& heads_BLGK, int64_t head_count) {
  const int64_t groups = heads_BLGK.size(2);
  TORCH_CHECK(head_count % groups == 0, head_count, " heads of queries cannot ",
              "share ", groups, " heads of keys");
  const at::Tensor heads_BGLK = heads_BLGK.transpose(1, 2);
  if (groups == head_count) return heads_BGLK;
  const int64_t repeats = head_count / groups;
  return heads_BGLK.unsqueeze(2)
      .expand({-1, -1, repeats, -1, -1})
      .flatten(1, 2);
}

}  // namespace

at::Tensor CausalAttentionReference(const at::Tensor& query_BLHK,
                                    const at::Tensor& key_BLGK,
                                    const at::Tensor& value_BLGK) {
  const int64_t length = query_BLHK.size(1);
  const int64_t heads = query_BLHK.size(2);
  const double scale = 1 / std::sqrt(static_cast<double>(query_BLHK.size(3)));
  const at::Tensor scores_BHLL =
      at::matmul(HeadsFirst(query_BLHK, heads),
                 HeadsFirst(key_BLGK, heads).transpose(2, 3)) *
      scale;
  const at::Tensor future_LL =
      at::ones({length, length}, query_BLHK.options().dtype(at::kBool)).triu(1);
  const at::Tensor weights_BHLL =
      at::softmax(scores_BHLL.masked_fill(
                      future_LL, -std::numeric_limits<double>::infinity()),
                  -1);
  return at::matmul(weights_BHLL, HeadsFirst(value_BLGK, heads))
      .transpose(1, 2);
}

at::Tensor CausalAttention(const at::Tensor& query_BLHK,
                           const at::Tensor& key_BLGK,
                           const at::Tensor& value_BLGK) {
  const int64_t heads = query_BLHK.size(2);
  return at::scaled_dot_product_attention(
             HeadsFirst(query_BLHK, heads), HeadsFirst(key_BLGK, heads),
             HeadsFirst(value_BLGK, heads), /*attn_mask=*/{}, /*dropout_p=*/0.0,
             /*is_causal=*/true)
      .transpose(1, 2);
}

}  // namespace lory::ops
