#ifndef LORY_TOOLS_MODEL_TOKEN_IDS_H_
#define LORY_TOOLS_MODEL_TOKEN_IDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace lory::surgery {

// Checks kTokenIdKeys in `object`, which is that of `file`, for a model of
// `vocabulary_size` ids. Each is null or an id, eos_token_id also a list of
// ids. A pad_token_id beyond the vocabulary, such as the -1 of early LLaMA
// conversions, becomes null: nothing is filled up with what is no token, and
// transformers refuses some of these. `words` then says so, a line for people.
//
// INVALID_ARGUMENT names file and key.
absl::Status CheckTokenIds(absl::string_view file, int64_t vocabulary_size,
                           nlohmann::ordered_json& object, std::string& words);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_TOKEN_IDS_H_
