#include "common/text/utf8.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "simdjson.h"

namespace lory::text {
namespace {

uint8_t ByteAt(absl::string_view text, size_t place) {
  return static_cast<uint8_t>(text[place]);
}

// What the second byte must lie in after this first one (Unicode, table 3-7).
struct SecondByte {
  uint8_t least = 0x80;
  uint8_t most = 0xbf;
};

SecondByte SecondAfter(uint8_t first) {
  switch (first) {
    case 0xe0:
      return {.least = 0xa0};
    case 0xed:
      return {.most = 0x9f};
    case 0xf0:
      return {.least = 0x90};
    case 0xf4:
      return {.most = 0x8f};
    default:
      return {};
  }
}

}  // namespace

size_t FirstCharacterBytes(absl::string_view text) {
  if (text.empty()) return 0;
  const uint8_t first = ByteAt(text, 0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size_t bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < bytes) return 0;
  const SecondByte second = SecondAfter(first);
  if (ByteAt(text, 1) < second.least || ByteAt(text, 1) > second.most) return 0;
  for (size_t i = 2; i < bytes; ++i) {
    if ((ByteAt(text, i) & 0xc0) != 0x80) return 0;
  }
  return bytes;
}

void ForEachUtf8Run(
    absl::string_view text,
    absl::FunctionRef<void(absl::string_view run, bool is_utf8)> found) {
  if (text.empty()) return;
  if (simdjson::validate_utf8(text.data(), text.size())) {
    return found(text, true);
  }
  size_t begin = 0;
  bool is_utf8 = FirstCharacterBytes(text) > 0;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = FirstCharacterBytes(text.substr(at));
    if ((bytes > 0) != is_utf8) {
      found(text.substr(begin, at - begin), is_utf8);
      begin = at;
      is_utf8 = bytes > 0;
    }
    at += std::max<size_t>(bytes, 1);
  }
  found(text.substr(begin), is_utf8);
}

absl::Status CheckUtf8(absl::string_view what, absl::string_view text) {
  size_t characters = 0;  // bytes of those before the first that is none
  bool is_text = true;
  ForEachUtf8Run(text, [&](absl::string_view run, bool is_utf8) {
    is_text = is_text && is_utf8;
    if (is_text) characters += run.size();
  });
  if (is_text) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": not UTF-8, from byte ", characters, " on (\\x",
                   absl::Hex(ByteAt(text, characters), absl::kZeroPad2), ")"));
}

std::string EscapedText(absl::string_view text) {
  std::string escaped;
  ForEachUtf8Run(text, [&](absl::string_view run, bool is_utf8) {
    escaped += is_utf8 ? absl::Utf8SafeCHexEscape(run) : absl::CHexEscape(run);
  });
  return escaped;
}

}  // namespace lory::text
