#include "tools/corpus/kept_blocks.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::corpus {
namespace {

using ::lory::testing::TemporaryFolder;

struct KeptBlocksTest : ::testing::Test {
  KeptBlocks Open(const std::string& fingerprint = "one") {
    auto kept = KeptBlocks::Open(folder.At("blocks"), fingerprint);
    EXPECT_OK(kept);
    return *std::move(kept);
  }
  TemporaryFolder folder;
};

TEST_F(KeptBlocksTest, WhatWasKeptIsThereForTheNextRun) {
  KeptBlocks kept = Open();
  EXPECT_FALSE(kept.Has(7));
  ASSERT_OK(kept.Keep(7, "seven"));
  ASSERT_OK(kept.Keep(8, ""));
  const KeptBlocks again = Open();
  EXPECT_TRUE(again.Has(7));
  EXPECT_EQ(again.Take(7), "seven");
  EXPECT_EQ(again.Take(8), "");
  EXPECT_EQ(again.Take(9), std::nullopt);
}

TEST_F(KeptBlocksTest, WhatWasMadeOfOtherThingsIsRemoved) {
  KeptBlocks kept = Open();
  ASSERT_OK(kept.Keep(0, "bytes"));
  EXPECT_FALSE(Open("two").Has(0));
  EXPECT_FALSE(std::filesystem::exists(folder.At("blocks/one")));
}

TEST_F(KeptBlocksTest, ADamagedBlockIsAsNone) {
  KeptBlocks kept = Open();
  ASSERT_OK(kept.Keep(0, "bytes"));
  for (const auto& file :
       std::filesystem::directory_iterator(folder.At("blocks/one"))) {
    folder.Write("blocks/one/" + file.path().filename().string(), "bytfs");
  }
  EXPECT_TRUE(Open().Has(0));
  EXPECT_EQ(Open().Take(0), std::nullopt);
}

TEST_F(KeptBlocksTest, FilesOfOtherNamesAreNotTakenForBlocks) {
  folder.Write("blocks/one/readme", "x");
  folder.Write("blocks/one/.lory-tmp-3", "x");
  folder.Write("blocks/one/5", "x");
  EXPECT_EQ(Open().Take(5), std::nullopt);
}

}  // namespace
}  // namespace lory::corpus
