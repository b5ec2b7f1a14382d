#include "common/text/utf8.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::text {
namespace {

using ::lory::testing::StatusIs;

TEST(CheckUtf8, NamesTheFirstByteThatIsNoCharacter) {
  for (const char* text : {"", "a", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"}) {
    EXPECT_OK(CheckUtf8("f", text));
  }
  for (const auto& [text, words] :
       {std::pair("\xff", "f: not UTF-8, from byte 0 on (\\xff)"),
        {"a\xc3\xa9\xe2\x82z\xff", "f: not UTF-8, from byte 3 on (\\xe2)"},
        {"ab\x80", "f: not UTF-8, from byte 2 on (\\x80)"}}) {
    EXPECT_THAT(CheckUtf8("f", text),
                StatusIs(absl::StatusCode::kInvalidArgument, words));
  }
}

TEST(EscapedText, ShowsHalfACharacterAsItsBytes) {
  EXPECT_EQ(EscapedText(" \xc3\xa9\n\""), " \xc3\xa9\\n\\\"");
  EXPECT_EQ(EscapedText("a\xe2\x82"), "a\\xe2\\x82");
  EXPECT_EQ(EscapedText("\xff\xe2\x82\xac"), "\\xff\xe2\x82\xac");
}

}  // namespace
}  // namespace lory::text
