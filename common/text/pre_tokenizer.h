#ifndef LORY_COMMON_TEXT_PRE_TOKENIZER_H_
#define LORY_COMMON_TEXT_PRE_TOKENIZER_H_

#include <cstddef>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "common/text/normalizer.h"
#include "common/text/split_pattern.h"

namespace lory::text {

// Where the matches of a pattern go: names as in tokenizer.json.
enum class SplitBehavior {
  kRemoved,  // they are no part of the text any more
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,  // matches side by side are one
};

// GPT-2's words, which ByteLevel means with use_regex.
inline constexpr char kGpt2Words[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|)"
    R"(\s+(?!\S)|\s+)";

// How a text is cut into words, across which tokens are never joined, as
// `pre_tokenizer` of tokenizer.json says. Thread-safe once it is made.
struct PreTokenizer {
  struct Split {
    SplitPattern pattern;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;  // what is between the matches is the match
  };
  // Puts a space before a piece that begins with none.
  struct SpaceBefore {};
  // Writes kSpaceMark for spaces, and puts one before pieces that begin with
  // none: any, only one at the begin of the text, or none.
  struct SpaceMarks {
    enum class Prepend { kAlways, kFirst, kNever };
    Prepend prepend = Prepend::kAlways;
    bool split = true;  // before each of them
  };
  // In their order; each is done to every piece that the one before leaves.
  std::vector<std::variant<Split, SpaceBefore, SpaceMarks>> steps;

  // The words of `text`, which must be UTF-8, in their order; none is empty.
  // They live as long as the call.
  using Found = absl::FunctionRef<void(absl::string_view word)>;
  void ForEachWord(absl::string_view text, Before before, Found found) const;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_PRE_TOKENIZER_H_
