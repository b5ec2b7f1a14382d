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
// Bytes of marks behind them. Unicode standard annex 15 has thirty marks at
// most in text that can be normalized by parts.
constexpr size_t kLongMarks = 4'096;

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

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

// Whether byte `i`, which is not among the first, may belong to a character
// that begins before it: four continuations in a row are of none.
bool IsInsideCharacter(absl::string_view text, size_t i) {
  const absl::string_view last = text.substr(i + 1 - kMostBytes, kMostBytes);
  return IsContinuation(last.back()) &&
         !std::all_of(last.begin(), last.end(), IsContinuation);
}

// Bytes at the begin of `text` whose words can be cleaned by themselves: up to
// white space or, in what has none, to a character that no mark stands on.
size_t PartOf(absl::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsCut(text[i])) return i + 1;
    if (i < kLongPart || IsInsideCharacter(text, i)) continue;
    const char32_t point = text::DecodeUtf8(text.substr(i, kMostBytes))[0];
    if (!text::IsMark(point) || i >= kLongPart + kLongMarks) return i;
  }
  return text.size();
}

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
                         std::u32string* open,
                         std::vector<int32_t>* ids) const {
  const auto extend = [&](size_t begin, size_t end) {
    const size_t room = list_.longest_word + 1 - open->size();
    open->append(text.substr(begin, std::min(end - begin, room)));
  };
  size_t begin = 0;
  for (size_t i = 0; i < text.size() && ids->size() < limit; ++i) {
    const bool is_space = text::IsWhiteSpace(text[i]);
    if (!is_space && !IsMarkOfItsOwn(text[i])) continue;
    extend(begin, i);
    EndWord(open, ids);
    if (!is_space && ids->size() < limit) AddWord(text.substr(i, 1), ids);
    begin = i + 1;
  }
  extend(begin, text.size());
}

void WordPiece::EndWord(std::u32string* open, std::vector<int32_t>* ids) const {
  AddWord(*open, ids);
  open->clear();
}

const WordPiece::Whole* WordPiece::FirstWhole(absl::string_view text,
                                              size_t* bytes) const {
  for (size_t i = 0; i < *bytes; ++i) {
    const Whole* longest = nullptr;
    for (const Whole& whole : list_.whole) {
      if (whole.first[0] == text[i] &&
          absl::StartsWith(text.substr(i), whole.first) &&
          (longest == nullptr || longest->first.size() < whole.first.size())) {
        longest = &whole;
      }
    }
    if (longest == nullptr) continue;
    *bytes = i;
    return longest;
  }
  return nullptr;
}

std::vector<int32_t> WordPiece::Encode(absl::string_view text,
                                       size_t limit) const {
  std::vector<int32_t> ids;
  std::u32string open;
  // A part at a time: of a long text only the begin is wanted.
  while (!text.empty() && ids.size() < limit) {
    size_t part = PartOf(text);
    const Whole* whole = FirstWhole(text, &part);
    AddWords(Clean(text.substr(0, part)), limit, &open, &ids);
    text.remove_prefix(part);
    if (whole == nullptr) continue;
    if (ids.size() < limit) EndWord(&open, &ids);
    if (ids.size() < limit) ids.push_back(whole->second);
    text.remove_prefix(whole->first.size());
  }
  if (ids.size() < limit) EndWord(&open, &ids);
  return ids;
}

int32_t WordPiece::HighestId() const {
  int32_t highest = 0;
  for (const auto& [word, id] : list_.ids) highest = std::max(highest, id);
  for (const auto& [word, id] : list_.whole) highest = std::max(highest, id);
  return highest;
}

}  // namespace lory::corpus
