#include "tools/corpus/words.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

using ::testing::SizeIs;

TEST(Words, AreRunsOfLettersAndDigitsWhateverTheCase) {
  EXPECT_EQ(WordHashesOf("The quick, brown-fox!"),
            WordHashesOf("the QUICK brown fox"));
  EXPECT_THAT(WordHashesOf("a bc d 12"), SizeIs(2));  // at least two bytes
  EXPECT_THAT(WordHashesOf(""), SizeIs(0));
}

TEST(Words, OfScriptsWithSpacesAreWhole) {
  EXPECT_THAT(WordHashesOf("не было бы счастья"), SizeIs(4));
  EXPECT_THAT(WordHashesOf("après l'été"), SizeIs(2));
  EXPECT_THAT(WordHashesOf("한국어 위키백과"), SizeIs(2));
}

TEST(Words, ThatAreLongDifferIfTheirEndsDo) {
  const std::string begin(100, 'x');
  EXPECT_NE(WordHashesOf(begin + "1"), WordHashesOf(begin + "2"));
}

TEST(Words, OfScriptsWithoutSpacesAreTheirPairsOfCharacters) {
  // Chinese, Japanese, Thai: six characters, and a mark between that is none.
  for (const char* text : {"人工智能研究", "ひらがなカナ", "ประเทศ"}) {
    EXPECT_THAT(WordHashesOf(text), SizeIs(5)) << text;
  }
  EXPECT_THAT(WordHashesOf("人工智能，研究。"), SizeIs(3 + 1));
  EXPECT_THAT(WordHashesOf("我。"), SizeIs(1));  // one alone is one
  EXPECT_EQ(WordHashesOf("智能")[0], WordHashesOf("人工智能")[2]);
  // Words of another script end where these begin.
  const auto mixed = WordHashesOf("GPU加速计算 2020年");
  EXPECT_THAT(mixed, SizeIs(1 + 3 + 1 + 1));
  EXPECT_EQ(mixed[0], WordHashesOf("gpu")[0]);
}

TEST(Words, OfBytesThatAreNoTextAreThoseBytes) {
  EXPECT_THAT(WordHashesOf("\xff\xfe\x80 \xe4\xba"), SizeIs(2));
  EXPECT_THAT(WordHashesOf(absl::string_view("ab\xe4\xba", 3)), SizeIs(1));
}

// Sentences of one opening that go on differently are not the same text.
TEST(Words, TellTextsOfOneOpeningApart) {
  const std::string opening = "据新华社北京今日报道记者获悉";
  std::string a = opening, b = opening;
  for (int i = 0; i < 300; ++i) {
    const auto character = [](int n) {  // U+4E00 and on
      const int code = 0x4e00 + n;
      return std::string{static_cast<char>(0xe0 | code >> 12),
                         static_cast<char>(0x80 | (code >> 6 & 63)),
                         static_cast<char>(0x80 | (code & 63))};
    };
    a += character(i * 7 % 2000);
    b += character(2000 + i * 11 % 2000);
  }
  EXPECT_LT(Overlap(ShinglesOf(a), ShinglesOf(b)), 0.1);
  EXPECT_EQ(Overlap(ShinglesOf(a), ShinglesOf(a)), 1);
  EXPECT_GT(Overlap(ShinglesOf(a), ShinglesOf(a + "完")), 0.9);
}

}  // namespace
}  // namespace lory::corpus
