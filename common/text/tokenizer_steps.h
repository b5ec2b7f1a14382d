#ifndef LORY_COMMON_TEXT_TOKENIZER_STEPS_H_
#define LORY_COMMON_TEXT_TOKENIZER_STEPS_H_

#include "absl/status/status.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/json_fields.h"

namespace lory::text {

// The normalizer, pre_tokenizer and decoder of a tokenizer.json, into `parts`,
// and whether bytes are what its words are made of.
//
// INVALID_ARGUMENT names a step, or an option of one, that is not supported.
absl::Status ReadSteps(JsonElement root, BytePairParts* parts);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TOKENIZER_STEPS_H_
