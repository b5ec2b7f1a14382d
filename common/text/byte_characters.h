#ifndef LORY_COMMON_TEXT_BYTE_CHARACTERS_H_
#define LORY_COMMON_TEXT_BYTE_CHARACTERS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace lory::text {

// GPT-2 writes every byte as a printable character: itself where it is one,
// else the next free one from U+0100 on. Files of byte-level tokenizers do.
std::array<uint32_t, 256> ByteCharacters();

// Bytes as such characters.
std::string ToByteCharacters(absl::string_view bytes);

// The way back. Nothing when `text` has characters that stand for no byte.
std::optional<std::string> FromByteCharacters(absl::string_view text);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_BYTE_CHARACTERS_H_
