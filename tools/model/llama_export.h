#ifndef LORY_TOOLS_MODEL_LLAMA_EXPORT_H_
#define LORY_TOOLS_MODEL_LLAMA_EXPORT_H_

#include <string>

#include "absl/status/status.h"
#include "tools/model/tokenizer_file.h"
#include "worker/model/transformer.h"

namespace lory::surgery {

struct ExportOptions {
  std::string folder;
  bool force = false;                        // replace an earlier export
  std::string origin;                        // for people, into config.json
  const TokenizerFile* tokenizer = nullptr;  // null: no tokenizer files
};

// Writes a dense model as a Hugging Face folder that LlamaForCausalLM loads:
// config.json, generation_config.json, model.safetensors in fp32, and with a
// tokenizer tokenizer.json and tokenizer_config.json. All of it or nothing.
//
// ALREADY_EXISTS, RESOURCE_EXHAUSTED: as OutputFolder. INVALID_ARGUMENT: the
// model is not dense.
absl::Status ExportLlama(const lory::model::Transformer& model,
                         const ExportOptions& options);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_LLAMA_EXPORT_H_
