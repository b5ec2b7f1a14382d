#include "tools/corpus/encoder/word_piece.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/text/unicode.h"

namespace lory::corpus {
namespace {

constexpr char32_t kFirstBeyondAscii = 0x80;
constexpr size_t kMostBytes = 4;     // of a character
constexpr size_t kLongPart = 4'096;  // bytes without ASCII white space

struct PointRange {
  char32_t first;
  char32_t last;
};

// As Hugging Face's tokenizers have them, the hole at U+2B820 included.
constexpr PointRange kIdeographs[] = {{0x3400, 0x4dbf},   {0x4e00, 0x9fff},
                                      {0xf900, 0xfaff},   {0x20000, 0x2a6df},
                                      {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f},
                                      {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f}};

bool IsIdeograph(char32_t point) {
  return std::any_of(std::begin(kIdeographs), std::end(kIdeographs),
                     [point](const PointRange& range) {
                       return point >= range.first && point <= range.last;
                     });
}

bool IsKeptSpace(char32_t point) {
  return point == U'\t' || point == U'\n' || point == U'\r';
}

bool IsDropped(char32_t point) {
  if (point == 0 || point == text::kReplacementCharacter) return true;
  const absl::string_view category = text::CategoryOf(point);
  return !IsKeptSpace(point) &&
         (category == "Cc" || category == "Cf" || category == "Co");
}

bool IsMarkOfItsOwn(char32_t point) {
  if (point < kFirstBeyondAscii) {
    return absl::ascii_ispunct(static_cast<unsigned char>(point));
  }
  return text::IsPunctuation(point);
}

bool IsAscii(std::u32string_view points) {
  return std::all_of(points.begin(), points.end(),
                     [](char32_t point) { return point < kFirstBeyondAscii; });
}

bool IsCut(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::u32string WordPiece::Clean(absl::string_view text) const {
  std::u32string points = text::DecodeUtf8(text);
  if (cleaning_.clean_text) {
    points.erase(std::remove_if(points.begin(), points.end(), IsDropped),
                 points.end());
    std::replace_if(points.begin(), points.end(), text::IsWhiteSpace, U' ');
  }
  const bool is_ascii = IsAscii(points);
  if (cleaning_.spaced_ideographs && !is_ascii) {
    std::u32string spaced;
    for (const char32_t point : points) {
      if (IsIdeograph(point)) {
        spaced.append({U' ', point, U' '});
      } else {
        spaced.push_back(point);
      }
    }
    points = std::move(spaced);
  }
  if (cleaning_.strip_accents && !is_ascii) {
    points = text::Normalized(text::EncodeUtf8(points), text::NormalForm::kNfd);
    points.erase(std::remove_if(points.begin(), points.end(),
                                [](char32_t point) {
                                  return text::CategoryOf(point) == "Mn";
                                }),
                 points.end());
  }
  if (cleaning_.lower_case) {
    std::u32string lower;
    lower.reserve(points.size());
    for (const char32_t point : points) text::AppendLowerCase(point, &lower);
    points = std::move(lower);
  }
  return points;
}

void WordPiece::AddWord(std::u32string_view word,
                        std::vector<int32_t>* ids) const {
  if (word.empty()) return;
  if (word.size() > list_.longest_word) {
    ids->push_back(list_.unknown);
    return;
  }
  std::string bytes;
  std::vector<size_t> ends;  // of each code point
  for (const char32_t point : word) {
    text::AppendUtf8(point, &bytes);
    ends.push_back(bytes.size());
  }
  const size_t before = ids->size();
  std::string piece;
  for (size_t first = 0; first < ends.size();) {
    const size_t begin = first == 0 ? 0 : ends[first - 1];
    piece.assign(first == 0 ? "" : list_.continuation);
    const size_t prefix = piece.size();
    piece.append(bytes, begin, bytes.size() - begin);
    size_t last = ends.size();
    auto found = list_.ids.end();
    for (; last > first; --last) {
      piece.resize(prefix + ends[last - 1] - begin);
      found = list_.ids.find(piece);
      if (found != list_.ids.end()) break;
    }
    if (last == first) {  // one piece is not there: neither is the word
      ids->resize(before);
      ids->push_back(list_.unknown);
      return;
    }
    ids->push_back(found->second);
    first = last;
  }
}

void WordPiece::AddWords(std::u32string_view text, size_t limit,
                         std::vector<int32_t>* ids) const {
  size_t begin = 0;
  for (size_t i = 0; i <= text.size() && ids->size() < limit; ++i) {
    const bool is_space = i == text.size() || text::IsWhiteSpace(text[i]);
    if (!is_space && !IsMarkOfItsOwn(text[i])) continue;
    AddWord(text.substr(begin, i - begin), ids);
    if (!is_space && ids->size() < limit) AddWord(text.substr(i, 1), ids);
    begin = i + 1;
  }
}

// Whether a word ends before `point` or with it, whatever stands around it.
bool WordPiece::EndsWord(char32_t point) const {
  if (IsMarkOfItsOwn(point)) return true;
  if (IsIdeograph(point)) return cleaning_.spaced_ideographs;
  return text::IsWhiteSpace(point) &&
         !(cleaning_.clean_text && IsDropped(point));
}

size_t WordPiece::PartOf(absl::string_view text) const {
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsCut(text[i])) return i + 1;
    if (i < kLongPart) continue;
    // Inside a character this is the replacement, which ends no word.
    const char32_t point = text::DecodeUtf8(text.substr(i, kMostBytes))[0];
    if (EndsWord(point)) return i + text::EncodeUtf8({&point, 1}).size();
  }
  return text.size();
}

void WordPiece::EncodePlain(absl::string_view text, size_t limit,
                            std::vector<int32_t>* ids) const {
  // A part at a time: of a long text only the begin is wanted.
  while (!text.empty() && ids->size() < limit) {
    const size_t part = PartOf(text);
    AddWords(Clean(text.substr(0, part)), limit, ids);
    text.remove_prefix(part);
  }
}

std::vector<int32_t> WordPiece::Encode(absl::string_view text,
                                       size_t limit) const {
  std::vector<int32_t> ids;
  size_t plain = 0;  // where text begins that is not encoded yet
  for (size_t i = 0; i < text.size() && ids.size() < limit; ++i) {
    const std::pair<std::string, int32_t>* longest = nullptr;
    for (const auto& whole : list_.whole) {
      if (whole.first[0] == text[i] &&
          absl::StartsWith(text.substr(i), whole.first) &&
          (longest == nullptr || longest->first.size() < whole.first.size())) {
        longest = &whole;
      }
    }
    if (longest == nullptr) continue;
    EncodePlain(text.substr(plain, i - plain), limit, &ids);
    if (ids.size() < limit) ids.push_back(longest->second);
    plain = i + longest->first.size();
    i = plain - 1;
  }
  if (plain < text.size()) EncodePlain(text.substr(plain), limit, &ids);
  return ids;
}

int32_t WordPiece::HighestId() const {
  int32_t highest = 0;
  for (const auto& [word, id] : list_.ids) highest = std::max(highest, id);
  for (const auto& [word, id] : list_.whole) highest = std::max(highest, id);
  return highest;
}

}  // namespace lory::corpus
