#include "common/io/json_text.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::io {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Nested(int depth) {
  return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') +
         "}";
}

TEST(ParseJsonObject, TakesObjectsAlone) {
  EXPECT_EQ((*ParseJsonObject("{\"a\":[1,{}]}"))["a"][0], 1);
  for (const char* text : {"", "[]", "1", "{", "{\"a\":1}}", "{\"a\":\xff}"}) {
    EXPECT_THAT(ParseJsonObject(text),
                StatusIs(kInvalid, HasSubstr("not a JSON object")))
        << text;
  }
}

TEST(ParseJsonObject, NamesTheKeyOfANumberThatOnlyPythonHas) {
  for (const auto& [text, words] :
       {std::pair(R"({"a": 1, "b": NaN})", "b is NaN"),
        {R"({"a\"NaN": {"c": [1, -Infinity]}})", "c is Infinity"}}) {
    EXPECT_THAT(ParseJsonObject(text), StatusIs(kInvalid, HasSubstr(words)));
  }
  EXPECT_OK(ParseJsonObject(R"({"NaN": "Infinity"})"));
  // A mistake elsewhere is not blamed on a text.
  for (const char* text : {R"({"a": "NaN")", R"({"a": "NaN\)"}) {
    EXPECT_THAT(ParseJsonObject(text),
                StatusIs(kInvalid, "is not a JSON object"));
  }
}

TEST(ParseJsonObject, RefusesWhatIsNestedTooDeeply) {
  EXPECT_OK(ParseJsonObject(Nested(kMostJsonDepth)));
  for (const int depth : {kMostJsonDepth + 1, 1'000'000}) {
    EXPECT_THAT(ParseJsonObject(Nested(depth)),
                StatusIs(kInvalid, HasSubstr("deeper than 64")));
  }
}

}  // namespace
}  // namespace lory::io
