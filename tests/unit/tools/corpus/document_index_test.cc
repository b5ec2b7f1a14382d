#include "tools/corpus/document_index.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"

namespace lory::corpus {
namespace {

IndexedDocument ExampleDocument() {
  return {.id = std::string(32, 'a'),
          .name = "one \"two\"",
          .domain = "news",
          .first_token = 12,
          .token_count = 30,
          .similarity = 0.25,
          .pass = 1};
}

TEST(DocumentIndex, ALineComesBackAsItWasWritten) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const IndexedDocument read,
      ParseIndexedDocument(SerializeIndexedDocument(ExampleDocument())));
  EXPECT_EQ(read.name, "one \"two\"");
  EXPECT_EQ(read.first_token, 12);
  EXPECT_EQ(read.token_count, 30);
  EXPECT_EQ(read.similarity, 0.25);
  EXPECT_EQ(read.pass, 1);
}

TEST(DocumentIndex, NumbersTooLargeToAddAreDamaged) {
  const std::string good = SerializeIndexedDocument(ExampleDocument());
  for (const char* field :
       {"\"first_token\":12", "\"token_count\":30", "\"pass\":1"}) {
    const absl::string_view key = absl::string_view(field).substr(
        0, absl::string_view(field).find(':') + 1);
    for (const auto& [number, whole] : {std::pair{"4611686018427387903", true},
                                        {"4611686018427387904", false},
                                        {"9223372036854775808", false}}) {
      const std::string line =
          absl::StrReplaceAll(good, {{field, absl::StrCat(key, number)}});
      EXPECT_EQ(ParseIndexedDocument(line).ok(), whole) << line;
    }
  }
}

TEST(DocumentIndex, AMutatedLineIsReadOrDamaged) {
  const std::string good = SerializeIndexedDocument(ExampleDocument());
  testing::Mutations mutations(20261203);
  int refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto read = ParseIndexedDocument(mutations.Of(good));
    refused += !read.ok();
    EXPECT_TRUE(read.ok() || absl::IsDataLoss(read.status())) << read.status();
  }
  EXPECT_GT(refused, 3000);
  EXPECT_LT(refused, 9990);
}

}  // namespace
}  // namespace lory::corpus
