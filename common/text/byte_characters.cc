#include "common/text/byte_characters.h"

namespace lory::text {

std::array<uint32_t, 256> ByteCharacters() {
  std::array<uint32_t, 256> characters;
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') ||
                           (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

std::string ToByteCharacters(absl::string_view bytes) {
  static const std::array<uint32_t, 256> characters = ByteCharacters();
  std::string text;
  for (const char c : bytes) {
    const uint32_t character = characters[static_cast<unsigned char>(c)];
    if (character < 0x80) {
      text += static_cast<char>(character);
    } else {  // two bytes of UTF-8 reach U+07FF
      text += static_cast<char>(0xC0 | (character >> 6));
      text += static_cast<char>(0x80 | (character & 0x3F));
    }
  }
  return text;
}

std::optional<std::string> FromByteCharacters(absl::string_view text) {
  static const std::array<int16_t, 512> bytes = [] {
    std::array<int16_t, 512> table;
    table.fill(-1);
    const std::array<uint32_t, 256> characters = ByteCharacters();
    for (int16_t byte = 0; byte < 256; ++byte) table[characters[byte]] = byte;
    return table;
  }();
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t character = static_cast<unsigned char>(text[i]);
    if (character >= 0x80) {
      if ((character & 0xE0) != 0xC0 || i + 1 == text.size()) {
        return std::nullopt;
      }
      character = ((character & 0x1F) << 6) | (text[++i] & 0x3F);
    }
    if (character >= bytes.size() || bytes[character] < 0) return std::nullopt;
    out += static_cast<char>(bytes[character]);
  }
  return out;
}

}  // namespace lory::text
