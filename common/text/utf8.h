#ifndef LORY_COMMON_TEXT_UTF8_H_
#define LORY_COMMON_TEXT_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// Bytes of the first character of `text`; 0: it begins with none, be it of too
// long a form, a surrogate, cut off or above U+10FFFF. Of no text 0, too.
size_t FirstCharacterBytes(absl::string_view text);

// Cuts `text` into runs of characters and runs of bytes that are none, in
// their order; nothing is left out, no run is empty.
void ForEachUtf8Run(
    absl::string_view text,
    absl::FunctionRef<void(absl::string_view run, bool is_utf8)> found);

// INVALID_ARGUMENT: a byte of `text` is no part of a character; names it, and
// `what` the text is.
absl::Status CheckUtf8(absl::string_view what, absl::string_view text);

// `text` on one line for people: what is no character, such as the half of one
// that a token may be, as its bytes, "\xe2".
std::string EscapedText(absl::string_view text);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_UTF8_H_
