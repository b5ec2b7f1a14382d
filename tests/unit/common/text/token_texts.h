#ifndef LORY_TESTS_UNIT_COMMON_TEXT_TOKEN_TEXTS_H_
#define LORY_TESTS_UNIT_COMMON_TEXT_TOKEN_TEXTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/text/tokenizer.h"

namespace lory::text {

// What each token of `text` stands for within it.
inline std::vector<std::string> TokenTexts(const Tokenizer& tokenizer,
                                           absl::string_view text) {
  std::vector<std::string> texts;
  for (const int32_t id : tokenizer.Encode(text)) {
    texts.push_back(tokenizer.TokenText(id));
  }
  return texts;
}

}  // namespace lory::text

#endif  // LORY_TESTS_UNIT_COMMON_TEXT_TOKEN_TEXTS_H_
