// Characters out of any bytes: what is decoded is encoded to the same, normal
// forms stay what they are, runs lose nothing.
#include "common/text/unicode.h"

#include "common/text/utf8.h"
#include "tests/fuzz/fuzz.h"

namespace lory::text {
namespace {

void CheckRuns(absl::string_view text) {
  std::string all;
  bool was_utf8 = false;
  ForEachUtf8Run(text, [&](absl::string_view run, bool is_utf8) {
    LORY_CHECK(!run.empty() && (all.empty() || is_utf8 != was_utf8));
    was_utf8 = is_utf8;
    all.append(run.data(), run.size());
    for (size_t at = 0; at < run.size();) {
      const size_t bytes = FirstCharacterBytes(run.substr(at));
      LORY_CHECK((bytes > 0) == is_utf8);
      at += std::max<size_t>(bytes, 1);
    }
  });
  LORY_CHECK(all == text);
}

void CheckPoints(const std::u32string& points) {
  for (const char32_t point : points) {
    LORY_CHECK(CategoryOf(point).size() == 2);
    LORY_CHECK(IsLetter(point) + IsMark(point) + IsNumber(point) +
                   IsPunctuation(point) + IsWhiteSpace(point) <=
               1);
    std::u32string lower;
    AppendLowerCase(point, &lower);
    LORY_CHECK(!lower.empty());
  }
}

}  // namespace

LORY_FUZZ(text) {
  CheckRuns(text);
  const std::u32string points = DecodeUtf8(text);
  CheckPoints(points);
  const std::string valid = EncodeUtf8(points);
  LORY_CHECK(DecodeUtf8(valid) == points);
  for (const NormalForm form : {NormalForm::kNfc, NormalForm::kNfd,
                                NormalForm::kNfkc, NormalForm::kNfkd}) {
    const std::u32string normal = Normalized(text, form);
    LORY_CHECK(Normalized(EncodeUtf8(normal), form) == normal);
    LORY_CHECK(Normalized(valid, form) == normal);
  }
}

}  // namespace lory::text
