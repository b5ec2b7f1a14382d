#include "worker/serve/stop_text.h"

#include "gtest/gtest.h"
#include "worker/serve/utf8.h"

namespace lory::serve {
namespace {

TEST(StopText, ShowsTextAtOnceWhereNothingCanBecomeAStop) {
  StopText text({"END"});
  EXPECT_EQ(text.Add("abc"), "abc");
  EXPECT_EQ(text.Add("dE"), "d");
  EXPECT_EQ(text.Add("N"), "");
  EXPECT_EQ(text.Add("x"), "ENx");
  EXPECT_FALSE(text.stopped());
}

TEST(StopText, EndsBeforeTheFirstStop) {
  StopText text({"END", "\n\n"});
  EXPECT_EQ(text.Add("a\n"), "a");
  EXPECT_EQ(text.Add("\nb END"), "");
  EXPECT_TRUE(text.stopped());
  EXPECT_EQ(text.Add("more"), "");
  EXPECT_EQ(text.Finish(), "");
}

TEST(StopText, WhatWasHeldBackComesAtTheEnd) {
  StopText text({"END"});
  EXPECT_EQ(text.Add("xEN"), "x");
  EXPECT_EQ(text.Finish(), "EN");
}

TEST(StopText, ACharacterIsShownWhole) {
  StopText text({});
  EXPECT_EQ(text.Add("a\xE2\x82"), "a");
  EXPECT_EQ(text.Add("\xAC"), "\xE2\x82\xAC");
  EXPECT_EQ(text.Add("\xF0"), "");
  EXPECT_EQ(text.Finish(), "\xF0");
}

TEST(ValidUtf8, KeepsCharactersAndReplacesTheRest) {
  const std::string good = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_EQ(ValidUtf8(good), good);
  EXPECT_EQ(CharacterCount(good), 4);
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(ValidUtf8("a\xFF\xC3"), "a" + mark + mark);
  EXPECT_EQ(ValidUtf8("\xC0\x80"), mark + mark);             // too long
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80"), mark + mark + mark);  // surrogate
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80"), mark + mark + mark + mark);
}

}  // namespace
}  // namespace lory::serve
