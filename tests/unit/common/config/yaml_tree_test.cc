#include "common/config/yaml_tree.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::config {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string ParseError(absl::string_view text) {
  return std::string(ParseYaml(text, "f.yaml").status().message());
}

TEST(YamlTree, KeepsOrderLinesAndQuotes) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const YamlNode root,
      ParseYaml("# a comment\nb: 1\na:\n  - 'x'\n  - {k: ~}\n", "f.yaml"));
  ASSERT_THAT(root.entries, SizeIs(2));
  EXPECT_EQ(root.entries[0].key, "b");
  EXPECT_EQ(root.entries[0].line, 2);
  EXPECT_FALSE(root.entries[0].value.quoted);
  const YamlNode& list = root.entries[1].value;
  ASSERT_THAT(list.items, SizeIs(2));
  EXPECT_TRUE(list.items[0].quoted);
  EXPECT_EQ(list.items[1].entries[0].value.kind, YamlNode::Kind::kNull);
  EXPECT_EQ(list.items[1].line, 5);
}

TEST(YamlTree, AKeyGivenTwiceNamesBothLines) {
  EXPECT_EQ(ParseError("a: 1\nb: 2\na: 3\n"),
            "f.yaml:3: a: given twice, first in line 1");
}

TEST(YamlTree, ATabInTheIndentationIsExplained) {
  EXPECT_EQ(ParseError("a:\n\tb: 1\n"),
            "f.yaml:2: a tab in the indentation: use spaces");
  EXPECT_EQ(ParseError("a:\n  \tb: 1\n"),
            "f.yaml:2: a tab in the indentation: use spaces");
  EXPECT_OK(ParseYaml("a: 1\t# a comment\n", "f.yaml"));
}

TEST(YamlTree, AnEmptyFileIsRefused) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n"}) {
    EXPECT_EQ(ParseError(text), "f.yaml:1: the file is empty") << text;
  }
}

TEST(YamlTree, WhatIsNotTextIsRefused) {
  EXPECT_THAT(ParseError("a: 1\nb: \xff\n"), StartsWith("f.yaml:2: not UTF-8"));
  EXPECT_THAT(ParseError("a: \xc0\xaf"), HasSubstr("not UTF-8"));
  EXPECT_THAT(ParseError("a: \xed\xa0\x80"), HasSubstr("not UTF-8"));
  EXPECT_THAT(ParseError("a: \xe2\x82"), HasSubstr("not UTF-8"));
  EXPECT_THAT(ParseError(absl::string_view("a: \0b", 5)),
              HasSubstr("a control character"));
  EXPECT_OK(ParseYaml("a: \xe2\x82\xac \xf0\x9f\x98\x80", "f.yaml"));
}

TEST(YamlTree, AHugeFileIsRefusedUnread) {
  EXPECT_THAT(
      ParseYaml(std::string(kMaxYamlBytes + 1, 'a'), "f.yaml"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too many")));
}

TEST(YamlTree, DeepNestingIsRefused) {
  EXPECT_THAT(ParseError(std::string(20, '[') + std::string(20, ']')),
              HasSubstr("levels deep"));
  EXPECT_THAT(ParseError(std::string(200'000, '[')), StartsWith("f.yaml:1: "));
}

TEST(YamlTree, WhatHidesMeaningIsRefused) {
  EXPECT_THAT(ParseError("a: &x 1\nb: *x\n"),
              StartsWith("f.yaml:1: anchors (&name) are not supported"));
  EXPECT_THAT(ParseError("a: !!int 3\n"), HasSubstr("tags (tag:yaml.org"));
  EXPECT_THAT(ParseError("a: 1\n---\nb: 2\n"),
              HasSubstr("more than one document"));
  EXPECT_THAT(ParseError("? [a, b]\n: 1\n"), HasSubstr("a key must be a word"));
}

TEST(YamlTree, BrokenYamlNamesTheLine) {
  EXPECT_THAT(ParseError("a: 1\nb: [1, 2\n"), HasSubstr("not YAML"));
  EXPECT_THAT(ParseError("a: 1\n b: 2\n"), StartsWith("f.yaml:2: not YAML"));
}

}  // namespace
}  // namespace lory::config
