#include "tools/model/tokenizer_file.h"

#include <nlohmann/json.hpp>

namespace lory::surgery {

using nlohmann::ordered_json;

std::string TokenizerConfigJson(const TokenizerFile& file,
                                int64_t sequence_length) {
  ordered_json json = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                       {"model_max_length", sequence_length},
                       {"clean_up_tokenization_spaces", false}};
  if (!file.end_of_document.empty()) {
    json["bos_token"] = file.end_of_document;
    json["eos_token"] = file.end_of_document;
  }
  return json.dump(2) + "\n";
}

std::vector<int64_t> EncodeText(const TokenizerFile& file,
                                absl::string_view text) {
  const std::vector<int32_t> ids = file.tokenizer->Encode(text);
  return {ids.begin(), ids.end()};
}

}  // namespace lory::surgery
