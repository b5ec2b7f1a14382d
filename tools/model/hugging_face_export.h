#ifndef LORY_TOOLS_MODEL_HUGGING_FACE_EXPORT_H_
#define LORY_TOOLS_MODEL_HUGGING_FACE_EXPORT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/safetensors.h"
#include "tools/model/generation_notes.h"
#include "tools/model/tokenizer_file.h"
#include "worker/model/transformer.h"

namespace lory::surgery {

struct ExportOptions {
  std::string folder;
  bool force = false;  // replace an earlier export
  std::string origin;  // for people, into config.json
  // Of the weights, rounded to nearest: kF32, kBf16 or kF16.
  lory::io::DType dtype = lory::io::DType::kF32;
  const TokenizerFile* tokenizer = nullptr;  // null: no tokenizer files
  GenerationNotes notes;                     // of what the model was made from
  // Of the tokenizer that the model was trained with; empty: not known.
  std::string tokenizer_sha256;
};

struct ExportResult {
  // Weights that `dtype` has no number for but zero.
  int64_t underflow_count = 0;
  std::string tokenizer_difference;  // TokenizerFolder's
};

// Whether Hugging Face's models have one that computes what `model` does, as it
// stands: a dense model is a LlamaForCausalLM, one of token_choice with
// renormalised weights a MixtralForCausalLM.
//
// INVALID_ARGUMENT: there is none; says what can be exported instead.
absl::Status CheckExportable(const lory::model::Transformer& model);

// Writes the model as a Hugging Face folder of that architecture: config.json,
// generation_config.json, model.safetensors, and with a tokenizer what
// MakeTokenizerFolder says. All of it or nothing.
//
// ALREADY_EXISTS, RESOURCE_EXHAUSTED: as OutputFolder. INVALID_ARGUMENT: as
// CheckExportable, or a number is too large for `dtype`.
absl::StatusOr<ExportResult> ExportHuggingFace(
    const lory::model::Transformer& model, const ExportOptions& options);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_HUGGING_FACE_EXPORT_H_
