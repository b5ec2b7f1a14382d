#ifndef LORY_TOOLS_MODEL_LOGITS_H_
#define LORY_TOOLS_MODEL_LOGITS_H_

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/model/tokenizer_file.h"
#include "worker/model/transformer.h"

// What a model expects next, for comparison with other programs.
namespace lory::surgery {

// Logits after each token, LV in fp32.
//
// INVALID_ARGUMENT: no tokens, more than the model's context, or one outside
// its vocabulary.
absl::StatusOr<at::Tensor> ComputeLogits(const lory::model::Transformer& model,
                                         const std::vector<int64_t>& tokens);

// A safetensors file with `tokens`, I64 [L], and `logits`, F32 [L, V].
absl::Status WriteLogits(const std::string& path,
                         const std::vector<int64_t>& tokens,
                         const at::Tensor& logits_LV);

// The likeliest `count` tokens after the last, a line each: id, logit and
// probability, and with a tokenizer the token's text.
std::string TopTokens(const at::Tensor& logits_LV, int64_t count,
                      const TokenizerFile* tokenizer);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_LOGITS_H_
