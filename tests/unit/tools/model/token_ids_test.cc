#include "tools/model/token_ids.h"

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tools/model/generation_notes.h"

namespace lory::surgery {
namespace {

using ::lory::testing::StatusIs;
using nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kVocabulary = 2048;

// What becomes of a file with that key.
absl::Status With(const char* key, const ordered_json& value) {
  ordered_json object = {{key, value}};
  std::string words;
  const absl::Status status =
      CheckTokenIds("a.json", kVocabulary, object, words);
  EXPECT_EQ(object[key], value);
  EXPECT_THAT(words, IsEmpty());
  return status;
}

TEST(TokenIds, AreNullOrIdsOrOfTheEndAList) {
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    EXPECT_OK(With(key, nullptr));
    EXPECT_OK(With(key, 0));
    EXPECT_OK(With(key, kVocabulary - 1));
  }
  EXPECT_OK(With("eos_token_id", {2, 5}));
  EXPECT_OK(With("decoder_start_token_id", "x"));  // none of ours
}

TEST(TokenIds, WhatIsNoneIsRefusedByFileAndKey) {
  const auto refused = [](const char* key, const ordered_json& value) {
    EXPECT_THAT(With(key, value),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("a.json: "), HasSubstr(key),
                               HasSubstr("from 0 to 2047"))))
        << key << " " << value;
  };
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    refused(key, -7);
    refused(key, 99999);
    refused(key, kVocabulary);
    refused(key, 18446744073709551615u);
  }
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    refused(key, "x");
    refused(key, 1.5);
    refused(key, true);
    refused(key, ordered_json::object({{"a", 1}}));
  }
  refused("bos_token_id", ordered_json::array({1}));
  refused("pad_token_id", ordered_json::array({1}));
  refused("eos_token_id", ordered_json::array({1e20}));
  refused("eos_token_id", {1, -1});
  refused("eos_token_id", ordered_json::array({ordered_json::array({1})}));
  refused("eos_token_id", ordered_json::array());
}

TEST(TokenIds, APadBeyondTheVocabularyIsNone) {
  for (const int64_t pad : {int64_t{-1}, kVocabulary}) {
    ordered_json object = {{"pad_token_id", pad}};
    std::string words;
    EXPECT_OK(CheckTokenIds("a.json", kVocabulary, object, words));
    EXPECT_TRUE(object["pad_token_id"].is_null());
    EXPECT_THAT(words, AllOf(HasSubstr("a.json: pad_token_id is "),
                             HasSubstr("taken for none")));
  }
}

TEST(TokenIds, AreCheckedInBothFilesOfAFolder) {
  const lory::testing::TemporaryFolder folder;
  const auto read = [&](const std::string& config,
                        const std::string& generation) {
    folder.Write("config.json", config);
    folder.Write("generation_config.json", generation);
    return ReadGenerationNotes(folder.path(), kVocabulary);
  };
  const auto refused = [](const char* words) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words));
  };
  EXPECT_THAT(read(R"({"eos_token_id": {"a": 1}})", "{}"),
              refused("/config.json: eos_token_id is {\"a\":1}"));
  EXPECT_THAT(read("{}", R"({"bos_token_id": -7})"),
              refused("/generation_config.json: bos_token_id is -7"));
  EXPECT_THAT(read("{}", R"({"temperature": NaN})"),
              refused("generation_config.json: is not a JSON object: "
                      "temperature is NaN"));
  LORY_ASSERT_OK_AND_ASSIGN(
      const GenerationNotes notes,
      read(R"({"pad_token_id": -1})", R"({"pad_token_id": 2048})"));
  EXPECT_EQ(notes.token_ids, R"({"bos_token_id":1,"eos_token_id":2})");
  EXPECT_EQ(notes.generation, R"({"pad_token_id":null})");
  EXPECT_THAT(notes.words, AllOf(HasSubstr("/config.json: pad_token_id is -1"),
                                 HasSubstr("pad_token_id is 2048")));
}

}  // namespace
}  // namespace lory::surgery
