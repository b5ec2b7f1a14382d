#ifndef LORY_TOOLS_CORPUS_WORDS_H_
#define LORY_TOOLS_CORPUS_WORDS_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace lory::corpus {

// Hashes of the words of `text` in their order: runs of ASCII letters, digits
// and bytes from 0x80 on, lower-case, at least two bytes. Scripts that leave no
// spaces between words (Chinese, Japanese, Thai, ...) count by overlapping
// pairs of characters instead; one alone counts by itself.
std::vector<uint64_t> WordHashesOf(absl::string_view text);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_WORDS_H_
