#include "common/text/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <string>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace lory::text {
namespace {

using std::u32string;

TEST(Unicode, SaysItsVersion) { EXPECT_EQ(UnicodeVersion(), "15.0.0"); }

TEST(Unicode, EveryCodePointGoesToUtf8AndBack) {
  u32string all;
  for (char32_t point = 0; point <= 0x10ffff; ++point) {
    if (point < 0xd800 || point > 0xdfff) all.push_back(point);
  }
  EXPECT_TRUE(DecodeUtf8(EncodeUtf8(all)) == all);
}

TEST(Unicode, BytesThatAreNoCharacterBecomeTheReplacementEach) {
  struct Case {
    std::string text;
    u32string points;
  };
  for (const Case& c :
       {Case{"a\xff"
             "b",
             U"a\ufffdb"},
        Case{"\xe4\xbd", U"\ufffd\ufffd"},  // cut off
        Case{"\xc0\xaf", U"\ufffd\ufffd"},  // too long a form of '/'
        Case{"\xed\xa0\x80", U"\ufffd\ufffd\ufffd"},
        Case{"\xf4\x90\x80\x80", U"\ufffd\ufffd\ufffd\ufffd"}, Case{"", U""},
        Case{std::string("a\0b", 3), u32string(U"a\0b", 3)}}) {
    EXPECT_TRUE(DecodeUtf8(c.text) == c.points) << c.text;
    EXPECT_TRUE(Normalized(c.text, NormalForm::kNfc) == c.points) << c.text;
  }
}

TEST(Unicode, WhatCannotBeWrittenBecomesTheReplacement) {
  EXPECT_EQ(EncodeUtf8(u32string{0xd800, 0x110000, 'x'}), "\ufffd\ufffdx");
}

TEST(Unicode, NormalFormsAreThoseOfTheStandard) {
  struct Case {
    u32string points, nfc, nfd, nfkc, nfkd;
  };
  for (const Case& c : {
           Case{U"\u00e9", U"\u00e9", U"e\u0301", U"\u00e9", U"e\u0301"},
           Case{U"e\u0301", U"\u00e9", U"e\u0301", U"\u00e9", U"e\u0301"},
           // Marks in another order than their classes have it.
           Case{U"q\u0307\u0323", U"q\u0323\u0307", U"q\u0323\u0307",
                U"q\u0323\u0307", U"q\u0323\u0307"},
           // A ligature, and Hangul.
           Case{U"\ufb01", U"\ufb01", U"\ufb01", U"fi", U"fi"},
           Case{U"\uac01", U"\uac01", U"\u1100\u1161\u11a8", U"\uac01",
                U"\u1100\u1161\u11a8"},
           // Excluded from composition.
           Case{U"\u0958", U"\u0915\u093c", U"\u0915\u093c", U"\u0915\u093c",
                U"\u0915\u093c"},
           // Eighteen from one.
           Case{U"\ufdfa", U"\ufdfa", U"\ufdfa",
                U"\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 "
                U"\u0639\u0644\u064a\u0647 \u0648\u0633\u0644\u0645",
                U"\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 "
                U"\u0639\u0644\u064a\u0647 \u0648\u0633\u0644\u0645"},
       }) {
    const std::string text = EncodeUtf8(c.points);
    EXPECT_TRUE(Normalized(text, NormalForm::kNfc) == c.nfc) << text;
    EXPECT_TRUE(Normalized(text, NormalForm::kNfd) == c.nfd) << text;
    EXPECT_TRUE(Normalized(text, NormalForm::kNfkc) == c.nfkc) << text;
    EXPECT_TRUE(Normalized(text, NormalForm::kNfkd) == c.nfkd) << text;
  }
}

TEST(Unicode, NormalFormsAreThoseOfTheLibrary) {
  const u32string some =
      U"aeq \u0301\u0323\u0307\u0327\u0338\u0345\u05b0"
      U"\u0334\u3099\u304b\u00e9\u1e69\u0344\u0958"
      U"\u1100\u1161\u11a8\uac00\ufb01\ufdfa\u212b<";
  const std::pair<NormalForm, utf8proc_uint8_t* (*)(const utf8proc_uint8_t*)>
      forms[] = {{NormalForm::kNfc, utf8proc_NFC},
                 {NormalForm::kNfd, utf8proc_NFD},
                 {NormalForm::kNfkc, utf8proc_NFKC},
                 {NormalForm::kNfkd, utf8proc_NFKD}};
  Random random(11);
  for (int i = 0; i < 20'000; ++i) {
    u32string points;
    for (uint64_t left = random.Below(12); left > 0; --left) {
      char32_t point = some[random.Below(some.size())];
      if (random.Below(4) == 0) point = 1 + random.Below(0xd7ff);
      points.push_back(point);
    }
    const std::string text = EncodeUtf8(points);
    for (const auto& [form, of_library] : forms) {
      utf8proc_uint8_t* expected =
          of_library(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
      EXPECT_EQ(EncodeUtf8(Normalized(text, form)),
                reinterpret_cast<const char*>(expected));
      std::free(expected);
    }
  }
}

// Hours if time grows with the square of the marks.
TEST(Unicode, ManyMarksAreSorted) {
  constexpr size_t kEach = 250'000;
  u32string marks = U"q";
  for (size_t i = 0; i < kEach; ++i) marks += U"\u0307\u0323";
  const u32string sorted =
      U"q" + u32string(kEach, 0x323) + u32string(kEach, 0x307);
  const std::string text = EncodeUtf8(marks);
  EXPECT_TRUE(Normalized(text, NormalForm::kNfd) == sorted);
  EXPECT_TRUE(Normalized(text, NormalForm::kNfkc) == sorted);
}

TEST(Unicode, CategoriesAreNamedByTwoLetters) {
  EXPECT_EQ(CategoryOf(U'A'), "Lu");
  EXPECT_EQ(CategoryOf(0x301), "Mn");
  EXPECT_EQ(CategoryOf(0), "Cc");
  EXPECT_EQ(CategoryOf(0x200d), "Cf");
  EXPECT_EQ(CategoryOf(0xe000), "Co");
  EXPECT_EQ(CategoryOf(0x378), "Cn");
  EXPECT_EQ(CategoryOf(0x110000), "Cn");
  EXPECT_TRUE(IsLetter(0x4e00) && !IsLetter(U'1'));
  EXPECT_TRUE(IsNumber(0xbd) && IsMark(0x903) && IsPunctuation(0x3002));
  EXPECT_FALSE(IsPunctuation(U'$'));
}

TEST(Unicode, WhiteSpaceIsTheProperty) {
  int count = 0;
  for (char32_t point = 0; point <= 0x10ffff; ++point) {
    count += IsWhiteSpace(point) ? 1 : 0;
  }
  EXPECT_EQ(count, 25);  // PropList.txt
  EXPECT_TRUE(IsWhiteSpace(0x3000) && !IsWhiteSpace(0x200b));
}

TEST(Unicode, LowerCaseIsFullAndWithoutContext) {
  const auto lower = [](u32string text) {
    u32string all;
    for (const char32_t point : text) AppendLowerCase(point, &all);
    return all;
  };
  EXPECT_TRUE(lower(U"A\u00c9\u1e9e") == U"a\u00e9\u00df");
  EXPECT_TRUE(lower(U"\u0130") == U"i\u0307");
  EXPECT_TRUE(lower(U"\u039f\u03a3") == U"\u03bf\u03c3");
  EXPECT_TRUE(lower(U"\U00010400") == U"\U00010428");
}

}  // namespace
}  // namespace lory::text
