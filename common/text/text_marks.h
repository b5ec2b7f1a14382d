#ifndef LORY_COMMON_TEXT_TEXT_MARKS_H_
#define LORY_COMMON_TEXT_TEXT_MARKS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/json_fields.h"

// What stands around a text, as files of Hugging Face's libraries say it.
namespace lory::text {

inline constexpr char kTokenizerConfigFile[] = "tokenizer_config.json";

// The `post_processor` of a tokenizer.json, into `parts`, whose tokens have
// been read.
//
// INVALID_ARGUMENT: it names what is no token, or is not supported.
absl::Status ReadPostProcessor(JsonElement root, BytePairParts* parts);

// A tokenizer_config.json beside a tokenizer.model, with add_bos_token and
// add_eos_token. Beside a tokenizer.json transformers (5.23) does not look at
// these, nor does anything here.
//
// INVALID_ARGUMENT: it is no JSON object, or the token it asks for is no
// special token of the tokenizer.
absl::Status ApplyTokenizerConfig(absl::string_view json, BytePairParts* parts);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TEXT_MARKS_H_
