#ifndef LORY_TOOLS_MODEL_HUGGING_FACE_IMPORT_H_
#define LORY_TOOLS_MODEL_HUGGING_FACE_IMPORT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/model/transformer.h"

namespace lory::surgery {

// Reads a Hugging Face folder of a LlamaForCausalLM, or of a MixtralForCausalLM
// as a model of token_choice: config.json, and model.safetensors or the shards
// that model.safetensors.index.json names.
// Numbers of F32, F16, BF16 and F64 become fp32; a tied head becomes a head of
// its own.
//
// NOT_FOUND: a file is missing. INVALID_ARGUMENT, FAILED_PRECONDITION: as
// ParseHuggingFaceConfig; a tensor is missing, is of another shape or type, or
// has no place in the model. DATA_LOSS: a damaged file. Each names file and
// tensor.
absl::StatusOr<std::unique_ptr<lory::model::Transformer>> ImportHuggingFace(
    const std::string& folder);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_HUGGING_FACE_IMPORT_H_
