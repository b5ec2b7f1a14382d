#include "common/text/unicode.h"

#include <utf8proc.h>

#include "common/base/check.h"

namespace lory::text {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130;
constexpr char32_t kDotAbove = 0x307;

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
  const auto decompose = [options](absl::string_view from,
                                   std::u32string* points) {
    return utf8proc_decompose(
        reinterpret_cast<const utf8proc_uint8_t*>(from.data()),
        static_cast<utf8proc_ssize_t>(from.size()),
        reinterpret_cast<utf8proc_int32_t*>(points->data()),
        static_cast<utf8proc_ssize_t>(points->size()), options);
  };
  std::u32string points(text.size(), 0);
  auto length = decompose(text, &points);
  std::string mended;
  if (length == UTF8PROC_ERROR_INVALIDUTF8) {
    mended = EncodeUtf8(DecodeUtf8(text));
    text = mended;
    length = decompose(text, &points);
  }
  if (length > static_cast<utf8proc_ssize_t>(points.size())) {
    points.resize(length);
    length = decompose(text, &points);
  }
  // Only memory and texts of exabytes are left to go wrong.
  LORY_CHECK(length >= 0);
  points.resize(length);
  length = utf8proc_normalize_utf32(
      reinterpret_cast<utf8proc_int32_t*>(points.data()), length, options);
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
