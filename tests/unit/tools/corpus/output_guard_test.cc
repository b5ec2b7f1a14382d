// What a build may write over and remove: its own files, and nobody else's.

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/made_up_dataset.h"
#include "tools/corpus/build.h"
#include "tools/corpus/map.h"
#include "tools/corpus/verify.h"

namespace lory::corpus {
namespace {

namespace fs = std::filesystem;
using ::lory::testing::CapturedProgress;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct OutputGuardTest : ::testing::Test {
  OutputGuardTest() : spec(TopicSpec(folder)) {}

  absl::Status Build() {
    return BuildDataset(spec, {}, captured.progress()).status();
  }
  // The corpus at `path` beneath "out".
  void InputInOutput(const std::string& path) {
    spec.inputs = {{.path = folder.Write("out/" + path, TopicLines())}};
  }
  bool IsThere(const std::string& path) const {
    return fs::exists(folder.At(path));
  }

  TemporaryFolder folder;
  CapturedProgress captured;
  CorpusSpec spec;
};

TEST_F(OutputGuardTest, FilesBesideADatasetStay) {
  InputInOutput("train-a.jsonl");
  const char* others[] = {"held-out-notes.txt", "train-1.bin",
                          "train-00001.txt", "held-out-theirs.bin"};
  ASSERT_OK(Build());
  for (const char* file : others) folder.Write(absl::StrCat("out/", file), "x");
  fs::create_directory(folder.At("out/.lory-tmp-theirs"));
  spec.sequence_length = 32;
  ASSERT_OK(Build());
  for (const char* file : others) {
    EXPECT_TRUE(IsThere(absl::StrCat("out/", file))) << file;
  }
  EXPECT_TRUE(IsThere("out/train-a.jsonl"));
  EXPECT_TRUE(IsThere("out/.lory-tmp-theirs"));
  EXPECT_OK(VerifyDataset(spec.output, captured.progress()));
}

TEST_F(OutputGuardTest, WhatAnEarlierBuildLeftGoes) {
  ASSERT_OK(Build());
  EXPECT_TRUE(IsThere("out/held-out-d0.bin"));
  folder.Write("out/train-00007.bin", "of a build that was killed");
  folder.Write("out/.lory-tmp-1", "of a build that was killed");
  spec.held_out_fraction = 0;
  ASSERT_OK(Build());
  for (const char* file : {"out/held-out-d0.bin", "out/held-out-d0.idx",
                           "out/train-00007.bin", "out/.lory-tmp-1"}) {
    EXPECT_FALSE(IsThere(file)) << file;
  }
}

TEST_F(OutputGuardTest, AnInputThatWouldBeWrittenOverIsRefused) {
  for (const char* file : {"documents.jsonl", "sequences.i64", "tokenizer.json",
                           "train-00000.bin", "stages/ingest/in.jsonl"}) {
    InputInOutput(file);
    EXPECT_THAT(Build(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("inputs[0].path"), HasSubstr(file))));
    EXPECT_EQ(*io::LocalStorage().Read(spec.inputs[0].path), TopicLines());
  }
  // Also by another name of the folder.
  fs::create_symlink(folder.At("out"), folder.At("link"));
  spec.inputs[0].path = folder.At("link/stages/ingest/in.jsonl");
  EXPECT_THAT(Build(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("inputs[0].path")));
}

TEST_F(OutputGuardTest, ATokenizerThatWouldBeWrittenOverIsRefused) {
  ASSERT_OK(Build());
  for (const char* file :
       {"tokenizer.json", "stages/tokenizer/tokenizer.json"}) {
    spec.tokenizer_file = absl::StrCat(spec.output, "/", file);
    EXPECT_THAT(Build(), StatusIs(absl::StatusCode::kInvalidArgument,
                                  HasSubstr("tokenizer.file")));
    EXPECT_TRUE(IsThere(absl::StrCat("out/", file)));
  }
}

TEST_F(OutputGuardTest, AModelThatWouldBeWrittenOverIsRefused) {
  for (const char* model : {"out", "out/stages/model"}) {
    spec.encoder.model = folder.At(model);
    EXPECT_THAT(Build(), StatusIs(absl::StatusCode::kInvalidArgument,
                                  HasSubstr("embed.model: ")))
        << model;
  }
}

TEST_F(OutputGuardTest, APictureTakesNoFilesPlace) {
  ASSERT_OK(Build());
  for (const char* file :
       {"manifest.json", "train-00000.bin", "held-out-d0.idx", "tokenizer.json",
        "sequences.i64", "stages/mine.svg", "stages/order/order.bin"}) {
    const std::string path = absl::StrCat(spec.output, "/", file);
    const auto before = io::LocalStorage().Read(path);
    EXPECT_THAT(MapDataset(spec.output, {}, path),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("is the dataset's own")));
    EXPECT_EQ(io::LocalStorage().Read(path).ok(), before.ok());
    if (before.ok()) {
      EXPECT_EQ(*io::LocalStorage().Read(path), *before);
    }
  }
  EXPECT_THAT(MapDataset(spec.output, {}, folder.At("a.png")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a.png must end in .svg")));
  EXPECT_FALSE(IsThere("a.png"));
  EXPECT_OK(MapDataset(spec.output, {}, folder.At("out/map.svg")));
  EXPECT_OK(VerifyDataset(spec.output, captured.progress()));
}

TEST_F(OutputGuardTest, AFolderWithFilesOfTheseNamesThatNoBuildMadeIsRefused) {
  for (const char* file : {"documents.jsonl", "manifest.json",
                           "train-00000.bin", "stages/order/mine.txt"}) {
    const std::string path = folder.Write(absl::StrCat("out/", file), "mine");
    EXPECT_THAT(Build(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  HasSubstr("no build of lory-corpus")))
        << file;
    EXPECT_EQ(*io::LocalStorage().Read(path), "mine");
    fs::remove_all(folder.At("out"));
  }
}

TEST_F(OutputGuardTest, ADatasetThatWasCopiedIsBuiltOn) {
  ASSERT_OK(Build());
  fs::remove(folder.At("out/.lock"));  // cp out/* elsewhere
  spec.sequence_length = 32;
  EXPECT_OK(Build());
  fs::remove(folder.At("out/.lock"));
  fs::remove_all(folder.At("out/stages"));
  EXPECT_OK(Build());
}

}  // namespace
}  // namespace lory::corpus
