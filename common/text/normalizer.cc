#include "common/text/normalizer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace lory::text {
namespace {

std::string Replaced(const Normalizer::Replace& replace,
                     absl::string_view text) {
  std::string out;
  size_t kept = 0;
  replace.pattern.ForEachMatch(text, [&](size_t begin, size_t end) {
    absl::StrAppend(&out, text.substr(kept, begin - kept), replace.by);
    kept = end;
  });
  absl::StrAppend(&out, text.substr(kept));
  return out;
}

std::string InForm(absl::string_view text, NormalForm form) {
  // Characters of one byte are what they are in every form.
  const bool is_ascii = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
  return is_ascii ? std::string(text) : EncodeUtf8(Normalized(text, form));
}

}  // namespace

std::string Normalizer::Apply(absl::string_view text, Before before) const {
  std::string out(text);
  for (const auto& step : steps) {
    if (const auto* prepend = std::get_if<Prepend>(&step)) {
      if (!out.empty() && before != Before::kBytes)
        out.insert(0, prepend->text);
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      out = Replaced(*replace, out);
    } else {
      out = InForm(out, std::get<NormalForm>(step));
    }
  }
  return out;
}

}  // namespace lory::text
