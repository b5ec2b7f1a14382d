#ifndef LORY_COMMON_TEXT_NORMALIZER_H_
#define LORY_COMMON_TEXT_NORMALIZER_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/text/split_pattern.h"
#include "common/text/unicode.h"

namespace lory::text {

// U+2581, which stands for a space in the tokens of SentencePiece and those
// who followed it.
inline constexpr char kSpaceMark[] = "\u2581";

// What stands before a text that is a part of another: nothing, a token that
// was found in it, or bytes that are no text. Nothing is put behind the last.
enum class Before { kNothing, kToken, kBytes };

// What is done to a text before it is cut into words, as `normalizer` of
// tokenizer.json says. Thread-safe once it is made.
struct Normalizer {
  struct Prepend {  // not to an empty text, nor behind bytes
    std::string text;
  };
  struct Replace {
    SplitPattern pattern;
    std::string by;
  };
  // In their order.
  std::vector<std::variant<Prepend, Replace, NormalForm>> steps;

  // `text` must be UTF-8.
  std::string Apply(absl::string_view text, Before before) const;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_NORMALIZER_H_
