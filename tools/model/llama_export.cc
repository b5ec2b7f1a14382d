#include "tools/model/llama_export.h"

#include <ATen/core/Tensor.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "tools/model/llama_config.h"
#include "tools/model/output_folder.h"

namespace lory::surgery {
namespace {

using ::lory::io::TensorToWrite;
using ::lory::model::Transformer;

absl::Status WriteWeights(const Transformer& model, const std::string& path) {
  std::vector<TensorToWrite> tensors;
  for (const auto& parameter : model.parameters().parameters()) {
    tensors.push_back({.info = {.name = parameter.name,
                                .dtype = lory::io::DType::kF32,
                                .shape = parameter.value.sizes().vec()},
                       .data = parameter.value.const_data_ptr()});
  }
  // Without the format transformers refuses the file.
  return lory::io::WriteSafetensors(lory::io::LocalStorage(), path, tensors,
                                    {{"format", "pt"}})
      .status();
}

std::string GenerationConfigJson(int end_of_document_id) {
  nlohmann::ordered_json json = {{"_from_model_config", true}};
  if (end_of_document_id >= 0) {
    json["bos_token_id"] = end_of_document_id;
    json["eos_token_id"] = end_of_document_id;
  }
  return json.dump(2) + "\n";
}

}  // namespace

absl::Status ExportLlama(const Transformer& model,
                         const ExportOptions& options) {
  const lory::config::ModelShape& shape = model.shape();
  if (shape.feed_forward != lory::config::FeedForwardKind::kDense) {
    return absl::InvalidArgumentError(
        "only a dense model is a LlamaForCausalLM; merge the experts first");
  }
  const TokenizerFile* tokenizer = options.tokenizer;
  const int end =
      tokenizer == nullptr ? -1 : tokenizer->tokenizer->end_of_document_id();
  LORY_ASSIGN_OR_RETURN(
      const std::unique_ptr<OutputFolder> output,
      OutputFolder::Begin(options.folder,
                          {.marker = kConfigFile, .force = options.force}));
  const auto write = [&](const char* name, const std::string& text) {
    return lory::io::LocalStorage().Write(
        absl::StrCat(output->path(), "/", name), text);
  };
  LORY_RETURN_IF_ERROR(
      WriteWeights(model, output->path() + "/model.safetensors"));
  LORY_RETURN_IF_ERROR(
      write(kConfigFile, LlamaConfigJson(shape, {.end_of_document_id = end,
                                                 .origin = options.origin})));
  LORY_RETURN_IF_ERROR(
      write("generation_config.json", GenerationConfigJson(end)));
  if (tokenizer != nullptr) {
    LORY_RETURN_IF_ERROR(write(kTokenizerFile, tokenizer->json));
    LORY_RETURN_IF_ERROR(
        write("tokenizer_config.json",
              TokenizerConfigJson(*tokenizer, shape.sequence_length)));
  }
  return output->Commit();
}

}  // namespace lory::surgery
