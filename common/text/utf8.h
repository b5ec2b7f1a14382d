#ifndef LORY_COMMON_TEXT_UTF8_H_
#define LORY_COMMON_TEXT_UTF8_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
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

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_UTF8_H_
