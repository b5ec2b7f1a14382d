#include "common/text/byte_pair_model.h"

namespace lory::text {
namespace {

enum class ByteClass { kSpace, kLetter, kDigit, kOther };

ByteClass ClassOf(char c) {
  const unsigned char byte = static_cast<unsigned char>(c);
  if (byte >= 0x80) return ByteClass::kLetter;
  const unsigned char lower = byte | 0x20;
  if (lower >= 'a' && lower <= 'z') return ByteClass::kLetter;
  if (byte >= '0' && byte <= '9') return ByteClass::kDigit;
  if (byte == ' ' || (byte >= '\t' && byte <= '\r')) return ByteClass::kSpace;
  return ByteClass::kOther;
}

// Length of the run of `wanted` bytes from `begin` on, at most `limit`.
size_t RunBytes(absl::string_view text, size_t begin, ByteClass wanted,
                size_t limit = absl::string_view::npos) {
  size_t end = begin;
  while (end < text.size() && end - begin < limit &&
         ClassOf(text[end]) == wanted) {
    ++end;
  }
  return end - begin;
}

size_t ContractionBytes(absl::string_view text) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  const char c = text[1];
  if (c == 's' || c == 'd' || c == 'm' || c == 't') return 2;
  const absl::string_view two = text.substr(1, 2);
  return two == "ll" || two == "ve" || two == "re" ? 3 : 0;
}

}  // namespace

size_t FirstWordBytes(absl::string_view text) {
  if (text.empty()) return 0;
  if (const size_t bytes = ContractionBytes(text); bytes > 0) return bytes;
  const size_t begin = text[0] == ' ' && text.size() > 1 ? 1 : 0;
  const ByteClass kind = ClassOf(text[begin]);
  if (kind != ByteClass::kSpace) {
    const size_t limit =
        kind == ByteClass::kDigit ? 3 : absl::string_view::npos;
    return begin + RunBytes(text, begin, kind, limit);
  }
  // White space. The last of several before a word is left to that word.
  const size_t run = RunBytes(text, 0, ByteClass::kSpace);
  return run == text.size() || run == 1 ? run : run - 1;
}

}  // namespace lory::text
