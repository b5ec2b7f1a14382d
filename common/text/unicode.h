#ifndef LORY_COMMON_TEXT_UNICODE_H_
#define LORY_COMMON_TEXT_UNICODE_H_

#include <string>

#include "absl/strings/string_view.h"

// What characters are and how they are written: code points, normal forms,
// general categories, lower case. The one place that includes utf8proc; which
// version of Unicode that means, UnicodeVersion says. All thread-safe.
namespace lory::text {

// What stands for a byte that is no part of a character.
inline constexpr char32_t kReplacementCharacter = 0xfffd;

// "15.0.0" of utf8proc 2.8.
absl::string_view UnicodeVersion();

// The code points of UTF-8. A byte that is no part of a character, of a
// surrogate or of too long a form becomes U+FFFD, each one.
std::u32string DecodeUtf8(absl::string_view text);

// What cannot be written (surrogates, above U+10FFFF) becomes U+FFFD.
void AppendUtf8(char32_t point, std::string* text);
std::string EncodeUtf8(std::u32string_view points);

// Unicode standard annex 15.
enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// `text`, read as DecodeUtf8 does, in a normal form.
std::u32string Normalized(absl::string_view text, NormalForm form);

// The general category by its two letters: "Lu", "Mn"; "Cn" for code points
// that are not assigned and for what is none.
absl::string_view CategoryOf(char32_t point);

// Categories of more than one.
bool IsLetter(char32_t point);       // L*
bool IsMark(char32_t point);         // M*
bool IsNumber(char32_t point);       // N*
bool IsPunctuation(char32_t point);  // P*

// The property White_Space: separators, and of the controls U+0009 to U+000D
// and U+0085.
bool IsWhiteSpace(char32_t point);

// Appends the lower case of `point`, itself where there is none: the full
// mapping, in which U+0130 becomes two, without looking at what stands beside
// it (a capital sigma is always U+03C3).
void AppendLowerCase(char32_t point, std::u32string* points);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_UNICODE_H_
