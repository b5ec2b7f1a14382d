#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/text/split_pattern.h"

namespace lory::text {
namespace {

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
        Copy(absl::StartsWith(rest_, "[^") ? 2 : 1);
        if (absl::StartsWith(rest_, "]")) Copy(1);  // one of the class
      } else if (c == '(') {
        LORY_RETURN_IF_ERROR(Group());
      } else if (absl::StartsWith(rest_, "}+")) {
        // Possessive there, twice repeated here.
        return Refuse("}+");
      } else if (c == '{') {
        LORY_RETURN_IF_ERROR(Repeat());
      } else {
        Copy(1);
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
      Copy(1);
      return absl::OkStatus();
    }
    for (const absl::string_view known :
         {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"}) {
      if (absl::StartsWith(rest_, known)) {
        Copy(known.size());
        return absl::OkStatus();
      }
    }
    return Refuse(absl::StrCat("the group ", rest_.substr(0, 4)));
  }

  absl::Status Escape() {
    const char c = rest_.size() > 1 ? rest_[1] : '\0';
    if (c == 's') return Replace(in_class_ ? kSpaces : Class("[", kSpaces));
    if (c == 'S' && !in_class_) return Replace(Class("[^", kSpaces));
    if (c == 'u') return CodePoint();
    const bool is_hexadecimal =
        absl::StartsWith(rest_, "\\x{") ||
        (c == 'x' && rest_.size() > 3 && rest_[2] < '8');
    if (is_hexadecimal || absl::StrContains("dpPntrfaezA", c) ||
        absl::ascii_ispunct(c) || c == ' ' ||
        static_cast<unsigned char>(c) >= 0x80) {
      if (absl::StrContains("zA", c) && in_class_) {
        return Refuse(rest_.substr(0, 2));
      }
      const bool has_braces =
          absl::StrContains("pPx", c) && absl::StartsWith(rest_.substr(2), "{");
      Copy(has_braces ? rest_.substr(0, rest_.find('}')).size() + 1 : 2);
      return absl::OkStatus();
    }
    return Refuse(c == '\0' ? "\\ at the end" : rest_.substr(0, 2));
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
};

}  // namespace

absl::StatusOr<std::string> InPcre2Dialect(absl::string_view expression) {
  return Dialect(expression).Translate();
}

}  // namespace lory::text
