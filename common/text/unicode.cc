#include "common/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "common/base/check.h"

namespace lory::text {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130;
constexpr char32_t kDotAbove = 0x307;
constexpr int kMostParts = 32;  // 18 of U+FDFA

utf8proc_option_t OptionsOf(NormalForm form) {
  const bool composed = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const bool compatible =
      form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  return static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
      (compatible ? UTF8PROC_COMPAT : 0));
}

// The code point at the begin of `text`, which is not empty, and its bytes.
int64_t FirstPoint(absl::string_view text, char32_t* point) {
  utf8proc_int32_t found = 0;
  const int64_t bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &found);
  *point = bytes > 0 ? static_cast<char32_t>(found) : kReplacementCharacter;
  return bytes > 0 ? bytes : 1;
}

void AppendDecomposed(char32_t point, utf8proc_option_t options,
                      std::u32string* points) {
  utf8proc_int32_t parts[kMostParts];
  int boundary = 0;  // not asked for
  const auto count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point), parts,
                              kMostParts, options, &boundary);
  LORY_CHECK(count >= 0 && count <= kMostParts);
  points->append(parts, parts + count);
}

int CombiningClass(char32_t point) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(point))
      ->combining_class;
}

// Marks that follow one another into the order of their classes. In place of
// utf8proc_decompose, whose time grows with the square of their number.
void SortMarks(std::u32string* points) {
  const auto is_mark = [](char32_t point) {
    return CombiningClass(point) != 0;
  };
  for (auto end = points->begin();;) {
    const auto begin = std::find_if(end, points->end(), is_mark);
    if (begin == points->end()) return;
    end = std::find_if_not(begin, points->end(), is_mark);
    std::stable_sort(begin, end, [](char32_t a, char32_t b) {
      return CombiningClass(a) < CombiningClass(b);
    });
  }
}

bool IsCategory(char32_t point, char major) {
  return CategoryOf(point)[0] == major;
}

}  // namespace

absl::string_view UnicodeVersion() { return utf8proc_unicode_version(); }

std::u32string DecodeUtf8(absl::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  while (!text.empty()) {
    char32_t point = 0;
    text.remove_prefix(FirstPoint(text, &point));
    points.push_back(point);
  }
  return points;
}

void AppendUtf8(char32_t point, std::string* text) {
  utf8proc_int32_t value = static_cast<utf8proc_int32_t>(point);
  if (!utf8proc_codepoint_valid(value)) value = kReplacementCharacter;
  utf8proc_uint8_t bytes[4];
  const auto count = utf8proc_encode_char(value, bytes);
  text->append(reinterpret_cast<const char*>(bytes), count);
}

std::string EncodeUtf8(std::u32string_view points) {
  std::string text;
  for (const char32_t point : points) AppendUtf8(point, &text);
  return text;
}

std::u32string Normalized(absl::string_view text, NormalForm form) {
  const utf8proc_option_t options = OptionsOf(form);
  std::u32string points;
  points.reserve(text.size());
  while (!text.empty()) {
    char32_t point = 0;
    text.remove_prefix(FirstPoint(text, &point));
    AppendDecomposed(point, options, &points);
  }
  SortMarks(&points);
  const auto length = utf8proc_normalize_utf32(
      reinterpret_cast<utf8proc_int32_t*>(points.data()),
      static_cast<utf8proc_ssize_t>(points.size()), options);
  LORY_CHECK(length >= 0);
  points.resize(length);
  return points;
}

absl::string_view CategoryOf(char32_t point) {
  return utf8proc_category_string(static_cast<utf8proc_int32_t>(point));
}

bool IsLetter(char32_t point) { return IsCategory(point, 'L'); }
bool IsMark(char32_t point) { return IsCategory(point, 'M'); }
bool IsNumber(char32_t point) { return IsCategory(point, 'N'); }
bool IsPunctuation(char32_t point) { return IsCategory(point, 'P'); }

bool IsWhiteSpace(char32_t point) {
  return (point >= 0x9 && point <= 0xd) || point == 0x85 ||
         IsCategory(point, 'Z');
}

void AppendLowerCase(char32_t point, std::u32string* points) {
  if (point == kCapitalIWithDot) {
    points->append({U'i', kDotAbove});
    return;
  }
  points->push_back(static_cast<char32_t>(
      utf8proc_tolower(static_cast<utf8proc_int32_t>(point))));
}

}  // namespace lory::text
