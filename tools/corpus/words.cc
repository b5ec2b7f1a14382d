#include "tools/corpus/words.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/ascii.h"
#include "common/base/hash.h"

namespace lory::corpus {
namespace {

constexpr size_t kMinWordBytes = 2;

enum class Kind {
  kBreak,    // between words
  kWord,     // of a script that has spaces between words, or of none
  kNoSpaces  // of a script that has none
};

struct Range {
  uint32_t first;
  uint32_t last;
};

// Thai and Lao, Tibetan, Burmese, Khmer, Chinese and Japanese. Unicode 15,
// blocks; Korean has spaces.
constexpr Range kNoSpaces[] = {
    {0x0e00, 0x0eff},   {0x0f00, 0x0fff},  {0x1000, 0x109f}, {0x1780, 0x17ff},
    {0x3005, 0x3007},   {0x3040, 0x30fa},  {0x30fc, 0x312f}, {0x31a0, 0x31ff},
    {0x3400, 0x4dbf},   {0x4e00, 0x9fff},  {0xf900, 0xfaff}, {0xff66, 0xff9f},
    {0x1b000, 0x1b16f}, {0x20000, 0x3ffff}};
// The marks that stand between their sentences.
constexpr Range kBreaks[] = {
    {0x3000, 0x3004}, {0x3008, 0x303f}, {0x30fb, 0x30fb}, {0xff01, 0xff0f},
    {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65}};

bool IsIn(uint32_t code, const Range* begin, const Range* end) {
  const Range* range = std::lower_bound(
      begin, end, code, [](const Range& r, uint32_t c) { return r.last < c; });
  return range != end && range->first <= code;
}

struct Character {
  size_t bytes = 1;
  Kind kind = Kind::kWord;
};

// The first of `text`. What is no UTF-8 is a word's byte.
Character FirstOf(absl::string_view text) {
  const auto byte = [text](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  if (byte(0) < 0x80) {
    return {1, absl::ascii_isalnum(byte(0)) ? Kind::kWord : Kind::kBreak};
  }
  // Shorter ones are of scripts that have spaces.
  const size_t bytes = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 1;
  if (bytes == 1 || text.size() < bytes) return {};
  uint32_t code = byte(0) & (bytes == 4 ? 0x07 : 0x0f);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  if (IsIn(code, std::begin(kNoSpaces), std::end(kNoSpaces))) {
    return {bytes, Kind::kNoSpaces};
  }
  return {bytes, IsIn(code, std::begin(kBreaks), std::end(kBreaks))
                     ? Kind::kBreak
                     : Kind::kWord};
}

}  // namespace

std::vector<uint64_t> WordHashesOf(absl::string_view text) {
  std::vector<uint64_t> hashes;
  std::string word;
  const auto take_word = [&] {
    if (word.size() >= kMinWordBytes) {
      hashes.push_back(FastHash64(word.data(), word.size()));
    }
    word.clear();
  };
  // Of a run without spaces: its characters so far, and where the last began.
  int64_t run = 0;
  size_t last = 0;
  const auto take_pair = [&](size_t end) {
    hashes.push_back(FastHash64(text.data() + last, end - last));
  };
  for (size_t at = 0; at < text.size();) {
    const Character character = FirstOf(text.substr(at));
    const size_t end = at + character.bytes;
    if (character.kind == Kind::kWord) {
      for (; at < end; ++at) {
        word += absl::ascii_tolower(static_cast<unsigned char>(text[at]));
      }
    } else {
      take_word();
    }
    if (character.kind == Kind::kNoSpaces) {
      if (run > 0) take_pair(end);
      ++run;
      last = at;
    } else {
      if (run == 1) take_pair(end - character.bytes);  // one alone
      run = 0;
    }
    at = end;
  }
  take_word();
  if (run == 1) take_pair(text.size());
  return hashes;
}

}  // namespace lory::corpus
