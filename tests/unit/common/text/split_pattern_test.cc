#include "common/text/split_pattern.h"

#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/text/pre_tokenizer.h"
#include "common/text/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::text {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SplitPattern Pattern(absl::string_view expression) {
  auto pattern = SplitPattern::Compile(expression);
  EXPECT_OK(pattern);
  return *pattern;
}

std::vector<std::string> Matches(absl::string_view expression,
                                 absl::string_view text) {
  std::vector<std::string> found;
  Pattern(expression).ForEachMatch(text, [&](size_t begin, size_t end) {
    found.emplace_back(text.substr(begin, end - begin));
  });
  return found;
}

std::vector<std::string> Words(const PreTokenizer& pre, absl::string_view text,
                               Before before = Before::kNothing) {
  std::vector<std::string> words;
  pre.ForEachWord(text, before,
                  [&](absl::string_view word) { words.emplace_back(word); });
  return words;
}

std::vector<std::string> Split(absl::string_view expression,
                               SplitBehavior behavior, bool invert,
                               absl::string_view text) {
  PreTokenizer pre;
  pre.steps.emplace_back(
      PreTokenizer::Split{Pattern(expression), behavior, invert});
  return Words(pre, text);
}

TEST(SplitPattern, KnowsTheWordsOfGpt2) {
  EXPECT_THAT(Matches(kGpt2Words, "we'll na\u00efve  x\u00b2, \u0661\u0662 \n"),
              ElementsAre("we", "'ll", " na\u00efve", " ", " x", "\u00b2", ",",
                          " \u0661\u0662", " \n"));
}

TEST(SplitPattern, WhiteSpaceIsThatOfOniguruma) {
  // U+180E has not been white space since Unicode 6.3; PCRE2's \s has it.
  EXPECT_THAT(Matches(R"(\s+)", "a\u0085\u00a0\u3000b\u180ec\u200b"),
              ElementsAre("\u0085\u00a0\u3000"));
  EXPECT_THAT(Matches(R"([^\s]+)", "a\u180eb\u2028c"),
              ElementsAre("a\u180eb", "c"));
  EXPECT_THAT(Matches(R"(\S+)", "a\u180eb c"), ElementsAre("a\u180eb", "c"));
}

TEST(SplitPattern, ReadsWhatTheDialectsWriteInTheirOwnWay) {
  EXPECT_THAT(Matches(R"([\u4e00-\u9fa5]+)", "a\u4f60\u597db"),
              ElementsAre("\u4f60\u597d"));
  EXPECT_THAT(Matches(R"((?i:'s|'t))", "x'S y'\u017f z'T"),
              ElementsAre("'S", "'\u017f", "'T"));
  EXPECT_THAT(Matches("^b", "a\nb"), ElementsAre("b"));
  EXPECT_THAT(Matches(R"([]\[]+)", "a][b"), ElementsAre("]["));
  const auto dialect = InPcre2Dialect(R"(\u00e9)");
  ASSERT_OK(dialect);
  EXPECT_EQ(*dialect, R"(\x{00e9})");
}

TEST(SplitPattern, RefusesWhatPcre2WouldUnderstandInAnotherWay) {
  for (const char* expression :
       {R"(\h)",   R"(\w)",   R"(\b)",    R"(\K)",   R"(\1)",  R"([\S])",
        "(?m:a)",  "a(?i)b",  "(?<n>a)",  "[a[bc]]", "[a&&b]", "a{1,2}+",
        R"(\u12)", R"(\xe9)", "a\\",      "a{,2}",   "a{2}?",  "a(*F)",
        "(*UTF)a", R"(\pL)",  R"([\PL])", R"(\p{L)"}) {
    EXPECT_THAT(SplitPattern::Compile(expression),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("not supported")))
        << expression;
  }
  EXPECT_THAT(SplitPattern::Compile("(a"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the expression (a: missing closing")));
  EXPECT_THAT(SplitPattern::Compile("a*"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a* matches nothing, too")));
}

TEST(SplitPattern, ScriptsAreThoseThatACharacterIsOf) {
  // PCRE2's \p{Han} has the marks of U+3001 and U+3002, too, and \p{Arabic}
  // the comma of U+060C, which several scripts use.
  const std::string text = "\u4f60\u3001\u4e16\u3002\u3042\u30fc\u30a2a";
  EXPECT_THAT(Matches(R"(\p{Han}+)", text), ElementsAre("\u4f60", "\u4e16"));
  EXPECT_THAT(Matches(R"([\p{Han}\p{Hiragana}\p{katakana}]+)", text),
              ElementsAre("\u4f60", "\u4e16", "\u3042", "\u30a2"));
  EXPECT_THAT(Matches(R"(\p{^Han}+)", text),
              ElementsAre("\u3001", "\u3002\u3042\u30fc\u30a2a"));
  EXPECT_THAT(Matches(R"(\P{Han}+)", "\u3001\u4f60b"),
              ElementsAre("\u3001", "b"));
  EXPECT_THAT(Matches(R"(\p{Arabic}+)", "\u0628\u060c"), ElementsAre("\u0628"));
  EXPECT_THAT(Matches(R"(\p{Devanagari}+)", "\u0915\u0964"),
              ElementsAre("\u0915"));
  EXPECT_THAT(Matches(R"(\p{Old_Italic}\p{Any}\p{lu})", "\U00010300aB"),
              ElementsAre("\U00010300aB"));
  EXPECT_THAT(SplitPattern::Compile(R"(\p{Punct})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("unknown property")));
}

TEST(SplitPattern, RefusesCharactersThatAreTwoInAnotherCase) {
  for (const char* expression :
       {"(?i:ss)", "(?i:Ss)", "(?i:a(?:s)s)", "(?i:\u00df)", "(?i:[\u00df])",
        "(?i:efFe)", "(?i:fi)", "(?i:fl)", "(?i:st)", "(?i:(?=s)t)",
        R"((?i:\u00df))", R"((?i:[\x{df}]))", R"((?i:[\p{Lu}]))",
        "(?i:\\\u00df)"}) {
    EXPECT_THAT(SplitPattern::Compile(expression),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("inside (?i: in a regular expression")))
        << expression;
  }
  EXPECT_THAT(Matches("(?i:'s|'t|'re|'ve|'m|'ll|'d)st", "'Sst'VEst"),
              ElementsAre("'Sst", "'VEst"));
  EXPECT_THAT(Matches("'(?i:[sdmt]|ll|ve|re)", "'T'Ll"),
              ElementsAre("'T", "'Ll"));
  EXPECT_THAT(Matches("(?i:s)s|ff|\u00df", "Ss\u00dfff"),
              ElementsAre("Ss", "\u00df", "ff"));
}

TEST(SplitPattern, ReadsRepeatsThatMeanTheSame) {
  EXPECT_THAT(Matches("a{2}b?", "aaab"), ElementsAre("aa"));
  EXPECT_THAT(Matches("a{1,2}?", "aaa"), ElementsAre("a", "a", "a"));
  EXPECT_THAT(Matches("a{,", "a{,2"), ElementsAre("a{,"));
}

TEST(SplitPattern, LiteralsAreNoExpressions) {
  auto literal = SplitPattern::Literal("a.[\u2581]");
  ASSERT_OK(literal);
  EXPECT_OK(SplitPattern::Literal("\x7f\t"));
  std::vector<size_t> begins;
  literal->ForEachMatch("xa.[\u2581]a.[\u2581]ax[",
                        [&](size_t begin, size_t) { begins.push_back(begin); });
  EXPECT_THAT(begins, ElementsAre(1, 8));
}

TEST(SplitPattern, LongRunsTakeTheirTime) {
  // No stack is used up, and nothing is quadratic.
  const std::string spaces(4'000'000, ' ');
  EXPECT_THAT(Matches(kGpt2Words, spaces + "x"),
              ElementsAre(spaces.substr(1), " x"));
  EXPECT_THAT(Matches("(?:a|b)+", std::string(1'000'000, 'a')).front().size(),
              1'000'000);
}

TEST(SplitPattern, LimitsGrowWithTheText) {
  // LLaMA 3's expression for white space looks for a line's end first.
  const SplitPattern pattern = Pattern(R"(\s*[\r\n]+|\s+(?!\S)|\s+|\S+)");
  const std::string text = std::string(12'000'000, ' ') + "b c";
  std::vector<size_t> ends;
  pattern.ForEachMatch(text, [&](size_t, size_t end) { ends.push_back(end); });
  EXPECT_THAT(ends, ElementsAre(11'999'999, 12'000'000, 12'000'001, 12'000'002,
                                12'000'003));
  EXPECT_EQ(pattern.given_up(), 0);
}

TEST(SplitPattern, GivesUpWhereAMatchTakesTooManySteps) {
  // 2^40 ways to cut the run, none of which ends with b.
  const std::string text = "aab " + std::string(40, 'a') + "c aab";
  EXPECT_THAT(Matches("(?:a|aa)+b", text), ElementsAre("aab"));
  EXPECT_THAT(Split("(?:a|aa)+b", SplitBehavior::kIsolated, false, text),
              ElementsAre("aab", text.substr(3)));
  const SplitPattern pattern = Pattern("(?:a|aa)+b");
  const SplitPattern same = pattern;
  for (const std::string& each : {text, std::string("aab c"), text}) {
    pattern.ForEachMatch(each, [](size_t, size_t) {});
  }
  EXPECT_EQ(same.given_up(), 2);
}

TEST(PreTokenizer, BehaviorsAreThoseOfTheLibrary) {
  using enum SplitBehavior;
  const std::string text = "the-final--countdown";
  EXPECT_THAT(Split("-", kRemoved, false, text),
              ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(Split("-", kRemoved, true, text), ElementsAre("-", "-", "-"));
  EXPECT_THAT(Split("-", kIsolated, false, text),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(Split("-", kMergedWithPrevious, false, text),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(Split("-", kMergedWithNext, false, text),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(Split("-", kContiguous, false, text),
              ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(Split("-", kIsolated, false, ""), IsEmpty());
}

TEST(PreTokenizer, MarksStandForSpaces) {
  using Marks = PreTokenizer::SpaceMarks;
  const auto words = [](Marks marks, absl::string_view text, Before before) {
    PreTokenizer pre;
    pre.steps.emplace_back(marks);
    return Words(pre, text, before);
  };
  const Marks always{.prepend = Marks::Prepend::kAlways};
  EXPECT_THAT(words(always, "a  b", Before::kToken),
              ElementsAre("\u2581a", "\u2581", "\u2581b"));
  EXPECT_THAT(words(always, " a", Before::kNothing), ElementsAre("\u2581a"));
  EXPECT_THAT(words(always, "a", Before::kBytes), ElementsAre("a"));
  const Marks first{.prepend = Marks::Prepend::kFirst, .split = false};
  EXPECT_THAT(words(first, "a b", Before::kNothing),
              ElementsAre("\u2581a\u2581b"));
  EXPECT_THAT(words(first, "a b", Before::kToken), ElementsAre("a\u2581b"));
}

TEST(PreTokenizer, StepsAreDoneToWhatTheOneBeforeLeaves) {
  PreTokenizer pre;
  pre.steps.emplace_back(PreTokenizer::Split{Pattern(R"(\p{N})")});
  pre.steps.emplace_back(PreTokenizer::SpaceBefore{});
  pre.steps.emplace_back(PreTokenizer::Split{Pattern(kGpt2Words)});
  EXPECT_THAT(Words(pre, "ab, 12"), ElementsAre(" ab", ",", " ", " 1", " 2"));
}

TEST(Utf8Runs, AreCutWhereTheStandardSaysAndLoseNothing) {
  Random random(8);
  const std::vector<std::string> bits = {"a",
                                         "\u00e9",
                                         "\u20ac",
                                         "\U0001F600",
                                         "\xed\xa0\x80",  // a surrogate
                                         "\xc0\x80",      // too long a form
                                         "\xf4\x90\x80\x80",
                                         "\xe2\x82",
                                         "\xff",
                                         "\x80"};
  const std::vector<bool> whole = {true,  true,  true,  true,  false,
                                   false, false, false, false, false};
  for (int i = 0; i < 2000; ++i) {
    std::string text, good, kept, kept_good;
    for (int j = 0; j < 6; ++j) {
      const size_t bit = random.Below(bits.size());
      text += bits[bit] + "|";
      good += (whole[bit] ? bits[bit] : "") + "|";
    }
    ForEachUtf8Run(text, [&](absl::string_view run, bool is_utf8) {
      EXPECT_FALSE(run.empty());
      kept.append(run.data(), run.size());
      if (is_utf8) kept_good.append(run.data(), run.size());
    });
    EXPECT_EQ(kept, text);
    EXPECT_EQ(kept_good, good);
  }
}

}  // namespace
}  // namespace lory::text
