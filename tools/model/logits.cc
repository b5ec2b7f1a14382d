#include "tools/model/logits.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "common/text/utf8.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {

absl::StatusOr<at::Tensor> ComputeLogits(const lory::model::Transformer& model,
                                         const std::vector<int64_t>& tokens) {
  const lory::config::ModelShape& shape = model.shape();
  const int64_t count = static_cast<int64_t>(tokens.size());
  if (count < 1 || count > shape.sequence_length) {
    return absl::InvalidArgumentError(
        absl::StrCat("the text has ", count, " tokens, the model takes 1 to ",
                     shape.sequence_length));
  }
  for (const int64_t token : tokens) {
    if (token >= 0 && token < shape.vocabulary_size) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("token ", token, " is not in the model's vocabulary of ",
                     shape.vocabulary_size));
  }
  return lory::train::GuardTorch("computing logits", [&] {
    at::NoGradGuard no_grad;
    std::vector<int64_t> copy = tokens;
    return model.Logits(at::from_blob(copy.data(), {1, count}, at::kLong))[0]
        .contiguous();
  });
}

absl::Status WriteLogits(const std::string& path,
                         const std::vector<int64_t>& tokens,
                         const at::Tensor& logits_LV) {
  const lory::io::TensorToWrite tensors[] = {
      {.info = {.name = "tokens",
                .dtype = lory::io::DType::kI64,
                .shape = {static_cast<int64_t>(tokens.size())}},
       .data = tokens.data()},
      {.info = {.name = "logits",
                .dtype = lory::io::DType::kF32,
                .shape = logits_LV.sizes().vec()},
       .data = logits_LV.const_data_ptr()}};
  return lory::io::WriteSafetensors(lory::io::LocalStorage(), path, tensors,
                                    {{"format", "pt"}})
      .status();
}

std::string TopTokens(const at::Tensor& logits_LV, int64_t count,
                      const TokenizerFile* tokenizer) {
  const at::Tensor last_V = logits_LV[logits_LV.size(0) - 1].to(at::kDouble);
  const at::Tensor share_V = at::softmax(last_V, 0);
  const auto [values, ids] =
      last_V.topk(std::min(count, last_V.size(0)), 0, true, true);
  std::string out =
      absl::StrFormat("%8s %12s %12s\n", "token", "logit", "probability");
  for (int64_t i = 0; i < ids.size(0); ++i) {
    const int64_t id = ids[i].item<int64_t>();
    absl::StrAppendFormat(&out, "%8d %12.5f %12.6f", id,
                          values[i].item<double>(), share_V[id].item<double>());
    if (tokenizer != nullptr) {
      absl::StrAppend(&out, "  \"",
                      lory::text::EscapedText(tokenizer->tokenizer->TokenText(
                          static_cast<int32_t>(id))),
                      "\"");
    }
    out += "\n";
  }
  return out;
}

}  // namespace lory::surgery
