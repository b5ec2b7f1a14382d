#include "tools/corpus/words.h"

#include <array>

#include "absl/strings/ascii.h"
#include "common/base/hash.h"

namespace lory::corpus {
namespace {

constexpr size_t kMinWordBytes = 2;
constexpr size_t kMaxWordBytes = 32;

bool IsWordByte(char c) {
  const unsigned char byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || absl::ascii_isalnum(byte);
}

}  // namespace

std::vector<uint64_t> WordHashesOf(absl::string_view text) {
  std::vector<uint64_t> hashes;
  std::array<char, kMaxWordBytes> word;
  size_t size = 0;
  const auto take = [&] {
    if (size >= kMinWordBytes) hashes.push_back(FastHash64(word.data(), size));
    size = 0;
  };
  for (const char c : text) {
    if (!IsWordByte(c)) {
      take();
    } else if (size < kMaxWordBytes) {
      word[size++] = absl::ascii_tolower(static_cast<unsigned char>(c));
    }
  }
  take();
  return hashes;
}

}  // namespace lory::corpus
