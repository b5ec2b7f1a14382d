#ifndef LORY_COMMON_TEXT_SENTENCE_NORMALIZER_H_
#define LORY_COMMON_TEXT_SENTENCE_NORMALIZER_H_

#include <string>

#include "absl/strings/string_view.h"
#include "common/text/added_tokens.h"
#include "common/text/character_map.h"

namespace lory::text {

// What SentencePiece does to a text before it looks for tokens. Thread-safe
// once it is made.
struct SentenceNormalizer {
  CharacterMap map;
  bool add_dummy_prefix = true;  // a space at the begin
  // At both ends, and of several in a row all but one.
  bool remove_extra_whitespaces = true;
  AddedTokens user_defined;  // stays as it is

  // `text` with kSpaceMark for spaces. Bytes that are no UTF-8 become U+FFFD,
  // each one.
  std::string Apply(absl::string_view text) const;

 private:
  absl::string_view FirstOf(absl::string_view text, size_t* bytes) const;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_SENTENCE_NORMALIZER_H_
