#ifndef LORY_COMMON_TEXT_SAME_TOKENIZER_H_
#define LORY_COMMON_TEXT_SAME_TOKENIZER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// A tokenizer, as far as those who use it know it.
struct TokenizerIdentity {
  std::string of;      // for messages: "data/demo/manifest.json", "the model"
  std::string sha256;  // of its file, in hex; empty: not known
};

// Whether both have one tokenizer. One that is not known may be any.
//
// FAILED_PRECONDITION: they have two, so that the same token ids mean other
// text; names both with the first digits of their SHA-256, then `remedy`.
absl::Status CheckSameTokenizer(const TokenizerIdentity& used,
                                const TokenizerIdentity& expected,
                                absl::string_view remedy);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_SAME_TOKENIZER_H_
