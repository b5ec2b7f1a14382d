#include "common/data/dataset_manifest.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"

namespace lory::data {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

const auto kInvalid = absl::StatusCode::kInvalidArgument;

ShardEntry Shard(const std::string& file) {
  return {.file = file,
          .sequence_count = 3,
          .bin_bytes = 54,
          .bin_sha256 = std::string(64, 'a'),
          .idx_sha256 = std::string(64, '0')};
}

DatasetManifest ExampleDataset() {
  DatasetManifest manifest;
  manifest.name = "demo";
  manifest.order = "similarity";
  manifest.seed = std::numeric_limits<uint64_t>::max();
  manifest.sequence_length = 8;
  manifest.vocabulary_size = 300;
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_sha256 = std::string(64, 'f');
  manifest.document_count = 12;
  manifest.token_count = 54;
  manifest.shards = {Shard("train-0"), Shard("train-1")};
  manifest.held_out = {{"news", Shard("held-out-news"), true},
                       {"wiki", Shard("held-out-wiki")}};
  manifest.neighbor_similarity = 0.1 + 0.2;
  return manifest;
}

nlohmann::json ExampleJson() {
  return nlohmann::json::parse(SerializeDatasetManifest(ExampleDataset()));
}

TEST(DatasetManifest, SurvivesTheRoundTrip) {
  const std::string text = SerializeDatasetManifest(ExampleDataset());
  LORY_ASSERT_OK_AND_ASSIGN(const DatasetManifest read,
                            ParseDatasetManifest(text));
  EXPECT_EQ(SerializeDatasetManifest(read), text);
  EXPECT_EQ(read.seed, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(read.neighbor_similarity, 0.1 + 0.2);
  EXPECT_EQ(read.SequenceCount(), 6);
  EXPECT_EQ(read.held_out[0].domain, "news");
  EXPECT_TRUE(read.held_out[0].kept_out);
  EXPECT_FALSE(read.held_out[1].kept_out);
}

TEST(DatasetManifest, NamesEveryKeyThatIsMissing) {
  const nlohmann::json example = ExampleJson();
  for (const auto& [key, value] : example.items()) {
    nlohmann::json json = example;
    json.erase(key);
    EXPECT_THAT(ParseDatasetManifest(json.dump()),
                StatusIs(kInvalid, HasSubstr(key + " is missing")));
  }
}

TEST(DatasetManifest, NamesEveryKeyOfTheWrongType) {
  const nlohmann::json example = ExampleJson();
  for (const auto& [key, value] : example.items()) {
    nlohmann::json json = example;
    json[key] = true;
    EXPECT_THAT(ParseDatasetManifest(json.dump()),
                StatusIs(kInvalid, HasSubstr(key + " must be")));
  }
}

TEST(DatasetManifest, NamesThePathOfANestedKey) {
  nlohmann::json json = ExampleJson();
  json["shards"][1].erase("bin_bytes");
  EXPECT_THAT(ParseDatasetManifest(json.dump()),
              StatusIs(kInvalid, "shards[1].bin_bytes is missing"));
  json = ExampleJson();
  json["held_out"][0]["shard"]["idx_sha256"] = "ABC";
  EXPECT_THAT(
      ParseDatasetManifest(json.dump()),
      StatusIs(kInvalid, HasSubstr("held_out[0].shard.idx_sha256 must be")));
}

TEST(DatasetManifest, NumbersMustBeWholeAndInRange) {
  for (const nlohmann::json& bad :
       {nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json(1e30)}) {
    nlohmann::json json = ExampleJson();
    json["sequence_length"] = bad;
    EXPECT_TRUE(
        absl::IsInvalidArgument(ParseDatasetManifest(json.dump()).status()));
  }
  nlohmann::json json = ExampleJson();
  json["sequence_length"] = int64_t{1} << 31;
  EXPECT_THAT(ParseDatasetManifest(json.dump()),
              StatusIs(kInvalid, "sequence_length is too large"));
  json["sequence_length"] = 0;
  EXPECT_TRUE(
      absl::IsInvalidArgument(ParseDatasetManifest(json.dump()).status()));
}

TEST(DatasetManifest, FileNamesCannotLeadOutOfTheFolder) {
  for (const char* name : {"../x", "/etc/passwd", "..", "", "a/b"}) {
    nlohmann::json json = ExampleJson();
    json["shards"][0]["file"] = name;
    EXPECT_THAT(ParseDatasetManifest(json.dump()),
                StatusIs(kInvalid, HasSubstr("shards[0].file")));
  }
}

TEST(DatasetManifest, ANewerVersionAsksForAnUpdate) {
  nlohmann::json json = ExampleJson();
  json["version"] = DatasetManifest::kVersion + 1;
  json.erase("shards");  // a newer version may look otherwise
  EXPECT_THAT(
      ParseDatasetManifest(json.dump()),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("newer")));
}

TEST(DatasetManifest, OtherFilesAreNotTakenForOne) {
  for (const char* text : {"", "{", "[]", "null", "{}", "\xff"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseDatasetManifest(text).status()));
  }
  nlohmann::json json = ExampleJson();
  json["kind"] = "lory.checkpoint";
  EXPECT_THAT(ParseDatasetManifest(json.dump()),
              StatusIs(kInvalid, HasSubstr("lory.checkpoint")));
}

TEST(DatasetManifest, AMissingFileIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ReadDatasetManifest("/nowhere/x").status()));
}

// What is taken in spite of it can be written down and taken again.
TEST(DatasetManifest, MutationsAreReadOrRefused) {
  const std::string good = SerializeDatasetManifest(ExampleDataset());
  testing::Mutations mutations(20261127);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto manifest = ParseDatasetManifest(mutations.Of(good));
    refused += !manifest.ok();
    if (!manifest.ok()) continue;
    EXPECT_OK(ParseDatasetManifest(SerializeDatasetManifest(*manifest))) << i;
  }
  EXPECT_GT(refused, 1500);
  EXPECT_LT(refused, 2990);
}

}  // namespace
}  // namespace lory::data
