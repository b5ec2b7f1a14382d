#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/text/split_pattern.h"

namespace lory::text {
namespace {

// Properties of Unicode by the names that both have and mean the same by; of
// one or two letters all have.
constexpr const char* kProperties[] = {"any",       "alphabetic", "emoji",
                                       "lowercase", "uppercase",  "whitespace"};

// Pairs of ASCII letters for which Unicode has one character, too: where case
// does not matter Oniguruma takes one for the other, PCRE2 does not.
constexpr const char* kFolded[] = {"ff", "fi", "fl", "ss", "st"};

// White space as Oniguruma and Unicode have it; PCRE2's \s knows U+180E, too.
constexpr char kSpaces[] = R"(\t-\r\x{85}\p{Z})";

// Goes through an expression once and writes it anew.
class Dialect {
 public:
  explicit Dialect(absl::string_view expression) : rest_(expression) {}

  absl::StatusOr<std::string> Translate() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '\\') {
        LORY_RETURN_IF_ERROR(Escape());
      } else if (in_class_) {
        LORY_RETURN_IF_ERROR(InClass());
      } else if (c == '[') {
        in_class_ = true;
        letter_ = '\0';
        Copy(absl::StartsWith(rest_, "[^") ? 2 : 1);
        if (absl::StartsWith(rest_, "]")) Copy(1);  // one of the class
      } else if (c == '(') {
        LORY_RETURN_IF_ERROR(Group());
      } else if (c == ')') {
        if (!open_groups_.empty()) open_groups_.pop_back();
        if (!any_case()) letter_ = '\0';
        Copy(1);
      } else if (absl::StartsWith(rest_, "}+")) {
        // Possessive there, twice repeated here.
        return Refuse("}+");
      } else if (c == '{') {
        LORY_RETURN_IF_ERROR(Repeat());
      } else {
        LORY_RETURN_IF_ERROR(Character());
      }
    }
    return std::move(out_);
  }

 private:
  static absl::Status Refuse(absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("not supported: ", what, " in a regular expression"));
  }

  void Copy(size_t count) {
    absl::StrAppend(&out_, rest_.substr(0, count));
    rest_.remove_prefix(std::min(count, rest_.size()));
  }

  absl::Status InClass() {
    if (rest_.front() == '[') return Refuse("a class inside a class");
    if (absl::StartsWith(rest_, "&&")) return Refuse("&& of classes");
    in_class_ = rest_.front() != ']';
    return Character();
  }

  // Whether upper and lower case are the same here, within (?i:.
  bool any_case() const { return !open_groups_.empty() && open_groups_.back(); }

  // Stands for itself or is a sign of the language; `rest_` is not empty. What
  // is equal but for case differs between the two, but not for single letters
  // of ASCII.
  absl::Status Character() {
    const char c = absl::ascii_tolower(rest_.front());
    if (any_case() && !absl::ascii_isascii(c)) {
      return Refuse("a character that is not ASCII inside (?i:");
    }
    if (any_case() && !in_class_) {
      const std::string pair = {letter_, c};
      if (std::find(std::begin(kFolded), std::end(kFolded), pair) !=
          std::end(kFolded)) {
        return Refuse(absl::StrCat(pair, " inside (?i:"));
      }
      letter_ = c;
    }
    Copy(1);
    return absl::OkStatus();
  }

  // {,n} is 0 to n times there, text here; {n}? optional there, lazy here.
  absl::Status Repeat() {
    const absl::string_view inside = rest_.substr(1, rest_.find('}') - 1);
    const auto is_number = [](absl::string_view text) {
      return !text.empty() &&
             text.find_first_not_of("0123456789") == absl::string_view::npos;
    };
    const absl::string_view behind =
        rest_.substr(std::min(inside.size() + 1, rest_.size()));
    if (absl::StartsWith(inside, ",") && is_number(inside.substr(1)) &&
        absl::StartsWith(behind, "}")) {
      return Refuse("{,n}");
    }
    if (is_number(inside) && absl::StartsWith(behind, "}?")) {
      return Refuse("{n}?");
    }
    Copy(1);
    return absl::OkStatus();
  }

  absl::Status Group() {
    if (absl::StartsWith(rest_, "(*")) return Refuse("(*");
    if (!absl::StartsWith(rest_, "(?")) {
      open_groups_.push_back(any_case());
      Copy(1);
      return absl::OkStatus();
    }
    for (const absl::string_view known :
         {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"}) {
      if (absl::StartsWith(rest_, known)) {
        open_groups_.push_back(any_case() || known == "(?i:");
        Copy(known.size());
        return absl::OkStatus();
      }
    }
    return Refuse(absl::StrCat("the group ", rest_.substr(0, 4)));
  }

  absl::Status Escape() {
    const char c = rest_.size() > 1 ? rest_[1] : '\0';
    letter_ = '\0';
    if (c == 's') return Replace(in_class_ ? kSpaces : Class("[", kSpaces));
    if (c == 'S' && !in_class_) return Replace(Class("[^", kSpaces));
    const bool is_of_one_case =
        absl::StrContains("dntrfaezA", c) || absl::ascii_ispunct(c) || c == ' ';
    if (any_case() && !is_of_one_case) {
      return Refuse(absl::StrCat(absl::ascii_isascii(c)
                                     ? rest_.substr(0, 2)
                                     : "a character that is not ASCII",
                                 " inside (?i:"));
    }
    if (c == 'p' || c == 'P') return Property();
    if (c == 'u') return CodePoint();
    if (absl::StrContains("zA", c) && in_class_) {
      return Refuse(rest_.substr(0, 2));
    }
    if (absl::StartsWith(rest_, "\\x{")) {
      Copy(rest_.substr(0, rest_.find('}')).size() + 1);
      return absl::OkStatus();
    }
    const bool is_hexadecimal = c == 'x' && rest_.size() > 3 && rest_[2] < '8';
    if (is_of_one_case || is_hexadecimal ||
        static_cast<unsigned char>(c) >= 0x80) {
      Copy(2);
      return absl::OkStatus();
    }
    return Refuse(c == '\0' ? "\\ at the end" : rest_.substr(0, 2));
  }

  // \p{Name}: a general category, another property or a script. Oniguruma
  // means by a script the characters that are of that one, PCRE2 by its bare
  // name those, too, that are used with several.
  absl::Status Property() {
    const size_t close = rest_.find('}');
    if (!absl::StartsWith(rest_.substr(2), "{") ||
        close == absl::string_view::npos) {
      return Refuse(absl::StrCat(rest_.substr(0, 2), " without a name in {}"));
    }
    absl::string_view name = rest_.substr(3, close - 3);
    absl::StrAppend(&out_, rest_.substr(0, 3),
                    absl::ConsumePrefix(&name, "^") ? "^" : "");
    const std::string plain = absl::StrReplaceAll(
        absl::AsciiStrToLower(name), {{" ", ""}, {"-", ""}, {"_", ""}});
    const bool is_script =
        plain.size() > 2 &&
        std::find(std::begin(kProperties), std::end(kProperties), plain) ==
            std::end(kProperties);
    absl::StrAppend(&out_, is_script ? "sc:" : "", name, "}");
    rest_.remove_prefix(close + 1);
    return absl::OkStatus();
  }

  static std::string Class(absl::string_view open, absl::string_view inside) {
    return absl::StrCat(open, inside, "]");
  }

  absl::Status Replace(absl::string_view by) {
    absl::StrAppend(&out_, by);
    rest_.remove_prefix(2);
    return absl::OkStatus();
  }

  // \uHHHH
  absl::Status CodePoint() {
    constexpr size_t kBytes = 6;
    const absl::string_view digits = rest_.substr(2, 4);
    if (digits.size() < 4 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") !=
            absl::string_view::npos) {
      return Refuse(rest_.substr(0, kBytes));
    }
    absl::StrAppend(&out_, "\\x{", digits, "}");
    rest_.remove_prefix(kBytes);
    return absl::OkStatus();
  }

  absl::string_view rest_;
  std::string out_;
  bool in_class_ = false;
  // Of the groups that are not closed yet, whether case does not matter.
  std::vector<bool> open_groups_;
  // What stands before, in lower case, if it is a character that stands for
  // itself, with nothing but the begin or end of groups between.
  char letter_ = '\0';
};

}  // namespace

absl::StatusOr<std::string> InPcre2Dialect(absl::string_view expression) {
  return Dialect(expression).Translate();
}

}  // namespace lory::text
