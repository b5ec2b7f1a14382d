#ifndef LORY_WORKER_SERVE_UTF8_H_
#define LORY_WORKER_SERVE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace lory::serve {

// `bytes` with U+FFFD for what is no UTF-8: a model may make any bytes, JSON
// and proto strings may not hold them.
std::string ValidUtf8(absl::string_view bytes);

// Bytes at the end of `bytes` that begin a character and do not end it.
size_t OpenCharacter(absl::string_view bytes);

// Characters of a valid text.
int64_t CharacterCount(absl::string_view text);

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_UTF8_H_
