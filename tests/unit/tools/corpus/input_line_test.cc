#include "tools/corpus/input_line.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

TEST(ParseInputLine, TakesTextNameAndDomain) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const InputLine line,
      ParseInputLine(R"({"id":"x#1","text":"a\nb\u00e9","domain":"news"})"));
  EXPECT_EQ(line.text, "a\nb\u00e9");
  EXPECT_EQ(line.name, "x#1");
  EXPECT_EQ(line.domain, "news");
}

TEST(ParseInputLine, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"text\": \"\xff\"}", "not UTF-8"},
      {"{\"text\": ", "not JSON"},
      {"hello", "not JSON"},
      {"[1]", "no JSON object"},
      {"{}", "no \"text\""},
      {R"({"content": "x", "n": 1})", "its keys: content, n; "},
      {R"({"text": "a", "text": "b"})", "\"text\" comes twice"},
      {R"({"text": "a", "\u0074ext": "b"})", "\"text\" comes twice"},
      {R"({"text": "a", "id": "1", "id": "1"})", "\"id\" comes twice"},
      {R"({"text": null})", "\"text\" is no text"},
      {R"({"text": {"a": "b"}})", "\"text\" is no text"},
      {R"({"text": "a", "id": 1.5})", "\"id\" is no text"},
      {R"({"text": "a"} {"text": "b"})", "not JSON"},
      {"{\"text\": \"a\"}\r{\"text\": \"b\"}", "not JSON"},
      {std::string("{\"text\": \"a\0b\"}", 15), "not JSON"},
      {std::string("\0\0", 2), "not JSON"},
      {R"({"text": "\ud800"})", "not JSON"},
      {R"({"text": 7})", "\"text\" is no text"},
      {R"({"text": "a", "domain": "../b"})", "\"domain\" must be"}};
  for (const auto& [line, why] : cases) {
    EXPECT_THAT(ParseInputLine(line),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)))
        << line;
  }
}

TEST(ParseInputLine, NumbersAreIdsAndNullIsNothing) {
  const auto name = [](const std::string& id) {
    const auto line = ParseInputLine(
        absl::StrCat("{\"text\":\"x\",\"id\":", id, ",\"domain\":null}"));
    EXPECT_OK(line);
    return line->name;
  };
  EXPECT_EQ(name("7"), "7");
  EXPECT_EQ(name("-7"), "-7");
  EXPECT_EQ(name("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(name("null"), "");
}

TEST(ParseInputLine, KeysAreThoseItIsTold) {
  const InputKeys keys = {
      .text = "content", .id = "url", .domain = "/meta/set"};
  LORY_ASSERT_OK_AND_ASSIGN(
      const InputLine line,
      ParseInputLine(R"({"text":7,"content":"a","url":"u",)"
                     R"("meta":{"set":"web"}})",
                     keys));
  EXPECT_EQ(line.text, "a");
  EXPECT_EQ(line.name, "u");
  EXPECT_EQ(line.domain, "web");
  EXPECT_THAT(ParseInputLine(R"({"content":"a","meta":{"set":"a b"}})", keys),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"/meta/set\" must be")));
}

TEST(ParseInputLine, NothingOnTheWayOfAPointerComesTwice) {
  const auto domain = [](absl::string_view line, const char* pointer) {
    const auto parsed = ParseInputLine(line, {.domain = pointer});
    return parsed.ok() ? parsed->domain
                       : std::string(parsed.status().message());
  };
  EXPECT_EQ(
      domain(R"({"meta":{"d":"a"},"meta":{"d":"b"},"text":"x"})", "/meta/d"),
      "\"/meta\" comes twice");
  EXPECT_EQ(domain(R"({"meta":{"d":"a","d":"b"},"text":"x"})", "/meta/d"),
            "\"/meta/d\" comes twice");
  EXPECT_EQ(domain(R"({"l":[0,{"d":"a","d":"b"}],"text":"x"})", "/l/1/d"),
            "\"/l/1/d\" comes twice");
  // What is not asked for may.
  EXPECT_EQ(domain(R"({"z":1,"z":2,"meta":{"d":"a","e":1,"e":2},"text":"x"})",
                   "/meta/d"),
            "a");
}

TEST(ParseInputLine, APointerLeadsWhereTheStandardSays) {
  const auto domain = [](const char* pointer) {
    const auto line = ParseInputLine(
        R"({"text":"x","l":["a",["b","c"],{"d":"e"}],"a/b":"f","m~n":"g",)"
        R"("":{"":"h"},"~1":"i","t":"j"})",
        {.domain = pointer});
    return line.ok() ? line->domain : std::string(line.status().message());
  };
  EXPECT_EQ(domain("/l/0"), "a");
  EXPECT_EQ(domain("/l/1/1"), "c");
  EXPECT_EQ(domain("/l/2/d"), "e");
  EXPECT_EQ(domain("/a~1b"), "f");
  EXPECT_EQ(domain("/m~0n"), "g");
  EXPECT_EQ(domain("//"), "h");
  EXPECT_EQ(domain("/~01"), "i");
  for (const char* nowhere : {"/l/3", "/l/-", "/l/d", "/t/0", "/none/d",
                              "/l/0/d", "/l/2/e", "/l/00", "/"}) {
    const std::string found = domain(nowhere);
    EXPECT_TRUE(found.empty() || found == "\"/\" is no text")
        << nowhere << ": " << found;
  }
}

TEST(ParseInputLine, ANulInsideTheTextIsKept) {
  LORY_ASSERT_OK_AND_ASSIGN(const InputLine line,
                            ParseInputLine(R"({"text":"a\u0000b"})"));
  EXPECT_EQ(line.text, std::string("a\0b", 3));
}

TEST(ParseInputLine, NestingWithoutEndIsNoCrash) {
  const std::string deep(100'000, '[');
  EXPECT_THAT(
      ParseInputLine(absl::StrCat("{\"text\":\"a\",\"x\":", deep)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not JSON")));
}

TEST(ParseTextFile, TakesTheWholeFileWithoutItsByteOrderMark) {
  LORY_ASSERT_OK_AND_ASSIGN(const InputLine line, ParseTextFile("\xEF\xBB\xBF"
                                                                "a\r\nb",
                                                                "d/e.txt"));
  EXPECT_EQ(line.text, "a\r\nb");
  EXPECT_EQ(line.name, "d/e.txt");
  EXPECT_THAT(
      ParseTextFile("\xff", "x"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not UTF-8")));
}

TEST(ParseInputLine, MutationsAreReadOrRefused) {
  const std::string good =
      R"({"id":17,"meta":{"set":"news"},"text":"a\n\u00e9\ud83d\ude42 z"})";
  testing::Mutations mutations(20261130);
  int refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto line =
        ParseInputLine(mutations.Of(good), {.domain = "/meta/set"});
    refused += !line.ok();
    if (!line.ok()) {
      EXPECT_TRUE(absl::IsInvalidArgument(line.status())) << line.status();
    } else if (!line->domain.empty()) {
      EXPECT_TRUE(IsDomainName(line->domain)) << i;
    }
  }
  EXPECT_GT(refused, 3000);
  EXPECT_LT(refused, 9990);
}

}  // namespace
}  // namespace lory::corpus
