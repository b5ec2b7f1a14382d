#ifndef LORY_COMMON_TEXT_SPLIT_PATTERN_H_
#define LORY_COMMON_TEXT_SPLIT_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// A regular expression as tokenizer.json files have them, compiled to machine
// code. The one place that includes PCRE2; which version of Unicode that means,
// PatternUnicodeVersion says. Cheap to copy, immutable, thread-safe.
class SplitPattern {
 public:
  // `expression` is of the dialect of Oniguruma, which Hugging Face's
  // tokenizers use; what PCRE2 would understand in another way is refused, and
  // what may match no character at all.
  // INVALID_ARGUMENT names what is wrong or not supported.
  static absl::StatusOr<SplitPattern> Compile(absl::string_view expression);
  // Matches `text` itself.
  static absl::StatusOr<SplitPattern> Literal(absl::string_view text);

  // Calls `found` with the begin and end of every match, from left to right.
  // `text` must be UTF-8. Where a match would take more than ten million steps
  // from one place (of texts above 1.25 MB more than 8 a byte), or 512 MiB, it
  // gives up, as if there were no further match, and counts that: what is left
  // is one piece. Other places take as many steps again.
  void ForEachMatch(
      absl::string_view text,
      absl::FunctionRef<void(size_t begin, size_t end)> found) const;

  // How often it did, in all copies together.
  int64_t given_up() const;

 private:
  struct Compiled;
  explicit SplitPattern(std::shared_ptr<const Compiled> compiled);

  std::shared_ptr<const Compiled> compiled_;
};

// The same expression in the dialect of PCRE2; errors as of Compile.
absl::StatusOr<std::string> InPcre2Dialect(absl::string_view expression);

// "14.0.0" of PCRE2 10.42.
std::string PatternUnicodeVersion();

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_SPLIT_PATTERN_H_
