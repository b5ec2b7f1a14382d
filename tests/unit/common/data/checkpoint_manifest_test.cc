#include "common/data/checkpoint_manifest.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/data/dataset_manifest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"

namespace lory::data {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

CheckpointManifest Example() {
  CheckpointManifest manifest;
  manifest.job = "jobs/tiny";
  manifest.previous_sha256 = std::string(64, 'c');
  manifest.spec.set_step_count(100);
  manifest.spec.mutable_model()->set_width(64);
  lory::v1::Checkpoint& checkpoint = manifest.checkpoint;
  checkpoint.set_name("jobs/tiny/checkpoints/40");
  checkpoint.set_step(40);
  checkpoint.set_generation(3);
  checkpoint.set_sample_digest(std::string(32, '\x5a'));
  checkpoint.set_size_bytes(30);
  for (int i = 0; i < 2; ++i) {
    auto* part = checkpoint.add_parts();
    part->set_index(i);
    part->set_count(2);
    part->set_file(i == 0 ? "part-0-of-2.safetensors"
                          : "part-1-of-2.safetensors");
    part->set_size_bytes(10 + 10 * i);
    part->set_sha256(std::string(64, 'a'));
  }
  return manifest;
}

TEST(CheckpointManifest, ComesBackAsItWasWritten) {
  const CheckpointManifest manifest = Example();
  LORY_ASSERT_OK_AND_ASSIGN(
      const CheckpointManifest read,
      ParseCheckpointManifest(SerializeCheckpointManifest(manifest)));
  EXPECT_EQ(read.job, manifest.job);
  EXPECT_EQ(read.previous_sha256, manifest.previous_sha256);
  EXPECT_EQ(read.spec.SerializeAsString(), manifest.spec.SerializeAsString());
  EXPECT_EQ(read.checkpoint.SerializeAsString(),
            manifest.checkpoint.SerializeAsString());
}

TEST(CheckpointManifest, TheTokenizerIsToldWhereItIsKnown) {
  CheckpointManifest manifest = Example();
  const std::string old = SerializeCheckpointManifest(manifest);
  EXPECT_THAT(old, Not(HasSubstr("tokenizer")));
  EXPECT_EQ(ParseCheckpointManifest(old)->tokenizer_sha256, "");
  manifest.tokenizer_sha256 = std::string(64, 'b');
  const std::string text = SerializeCheckpointManifest(manifest);
  EXPECT_EQ(ParseCheckpointManifest(text)->tokenizer_sha256,
            manifest.tokenizer_sha256);
  const auto quoted = [](size_t count, char digit) {
    return absl::StrCat("\"", std::string(count, digit), "\"");
  };
  for (const std::string& wrong :
       {quoted(0, 'b'), quoted(4, 'b'), quoted(63, 'b'), quoted(65, 'b'),
        quoted(64, 'B'), quoted(64, 'z'), std::string("7")}) {
    EXPECT_THAT(ParseCheckpointManifest(absl::StrReplaceAll(
                    text, {{"\"" + manifest.tokenizer_sha256 + "\"", wrong}})),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("tokenizer_sha256 is not")))
        << wrong;
  }
}

TEST(CheckpointManifest, TheSampleDigestIsSixtyFourDigits) {
  const std::string text = SerializeCheckpointManifest(Example());
  const std::string digest = absl::BytesToHexString(std::string(32, '\x5a'));
  EXPECT_THAT(text, HasSubstr(digest));
  for (const std::string& wrong :
       {digest + "5", digest.substr(1), std::string(64, 'g'),
        std::string(64, 'A')}) {
    EXPECT_THAT(
        ParseCheckpointManifest(absl::StrReplaceAll(text, {{digest, wrong}})),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 HasSubstr("sample_digest is not 64 digits")))
        << wrong;
  }
}

TEST(CheckpointManifest, WhatIsOfADatasetIsCalledThat) {
  EXPECT_THAT(ParseCheckpointManifest(SerializeDatasetManifest({})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a dataset, and no checkpoint")));
  EXPECT_THAT(ParseDatasetManifest(SerializeCheckpointManifest(Example())),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a checkpoint, and no dataset")));
}

TEST(CheckpointManifest, EveryMissingKeyIsNamed) {
  const std::string text = SerializeCheckpointManifest(Example());
  for (const char* key : {"version", "job", "step", "generation",
                          "sample_digest", "parts", "spec"}) {
    const std::string broken = absl::StrReplaceAll(
        text, {{absl::StrCat("\"", key, "\""), "\"gone\""}});
    EXPECT_THAT(ParseCheckpointManifest(broken),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(key)));
  }
}

TEST(CheckpointManifest, PartsAreNotLargerThanCanBeCounted) {
  const std::string text = SerializeCheckpointManifest(Example());
  EXPECT_THAT(ParseCheckpointManifest(absl::StrReplaceAll(
                  text, {{"\"size_bytes\": 20",
                          "\"size_bytes\": 9223372036854775807"}})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("parts[1].size_bytes is more than")));
}

TEST(CheckpointManifest, ANewerVersionIsRefusedByNumber) {
  const std::string text =
      absl::StrReplaceAll(SerializeCheckpointManifest(Example()),
                          {{"\"version\": 1", "\"version\": 9"}});
  EXPECT_THAT(
      ParseCheckpointManifest(text),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version 9")));
}

TEST(CheckpointManifest, TruncationAnywhereIsRefused) {
  const std::string text = SerializeCheckpointManifest(Example());
  for (size_t size = 0; size + 2 < text.size(); size += 7) {
    EXPECT_FALSE(ParseCheckpointManifest(text.substr(0, size)).ok()) << size;
  }
}

TEST(CheckpointManifest, NumbersThatAreNoCountsAreRefused) {
  const std::string text = SerializeCheckpointManifest(Example());
  for (const char* number :
       {"-5", "9223372036854775808", "18446744073709551616", "4.5", "\"4\""}) {
    EXPECT_THAT(
        ParseCheckpointManifest(absl::StrReplaceAll(
            text, {{"\"step\": 40", absl::StrCat("\"step\": ", number)}})),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 HasSubstr("step is not a whole number")));
  }
  EXPECT_THAT(ParseCheckpointManifest(absl::StrReplaceAll(
                  text, {{"\"size_bytes\": 20", "\"size_bytes\": -1"}})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("parts[1].size_bytes")));
}

TEST(CheckpointManifest, DeepNestingIsRefused) {
  const std::string deep =
      std::string(100'000, '[') + std::string(100'000, ']');
  const std::string text = absl::StrReplaceAll(
      SerializeCheckpointManifest(Example()),
      {{"\"spec\": {", absl::StrCat("\"spec\": {\"x\": ", deep, ", ")}});
  EXPECT_THAT(
      ParseCheckpointManifest(text),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("deeper")));
}

TEST(CheckpointManifest, APartOutsideTheFolderIsRefused) {
  const std::string text = absl::StrReplaceAll(
      SerializeCheckpointManifest(Example()), {{"part-1", "../part-1"}});
  EXPECT_THAT(
      ParseCheckpointManifest(text),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("parts[1].file")));
}

TEST(CheckpointManifest, MutationsAreReadOrRefused) {
  const std::string good = SerializeCheckpointManifest(Example());
  testing::Mutations mutations(20261204);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto manifest = ParseCheckpointManifest(mutations.Of(good));
    refused += !manifest.ok();
    if (!manifest.ok()) continue;
    EXPECT_OK(ParseCheckpointManifest(SerializeCheckpointManifest(*manifest)))
        << i;
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 2990);
}

}  // namespace
}  // namespace lory::data
