#include "common/text/sentence_normalizer.h"

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/text/normalizer.h"
#include "common/text/utf8.h"

namespace lory::text {

// What the begin of `text`, of so many bytes, becomes.
absl::string_view SentenceNormalizer::FirstOf(absl::string_view text,
                                              size_t* bytes) const {
  *bytes = user_defined.BytesAt(text);
  if (*bytes > 0) return text.substr(0, *bytes);
  absl::string_view by;
  *bytes = map.Find(text, &by);
  if (*bytes > 0) return by;
  *bytes = FirstCharacterBytes(text);
  if (*bytes > 0) return text.substr(0, *bytes);
  *bytes = 1;
  return "\uFFFD";
}

std::string SentenceNormalizer::Apply(absl::string_view text) const {
  std::string out;
  size_t bytes = 0;
  while (remove_extra_whitespaces && !text.empty() &&
         FirstOf(text, &bytes) == " ") {
    text.remove_prefix(bytes);
  }
  if (text.empty()) return out;
  out.reserve(text.size() + text.size() / 2);
  if (add_dummy_prefix) out += kSpaceMark;
  bool after_space = remove_extra_whitespaces;
  while (!text.empty()) {
    absl::string_view piece = FirstOf(text, &bytes);
    while (after_space && absl::ConsumePrefix(&piece, " ")) {
    }
    for (const char c : piece) {
      if (c == ' ') {
        out += kSpaceMark;
      } else {
        out += c;
      }
    }
    if (!piece.empty()) after_space = absl::EndsWith(piece, " ");
    after_space &= remove_extra_whitespaces;
    text.remove_prefix(bytes);
  }
  absl::string_view kept = out;
  while (remove_extra_whitespaces && absl::ConsumeSuffix(&kept, kSpaceMark)) {
  }
  out.resize(kept.size());
  return out;
}

}  // namespace lory::text
