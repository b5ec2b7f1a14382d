#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_BUILD_FIXTURE_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_BUILD_FIXTURE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/io/storage.h"
#include "gtest/gtest.h"
#include "tests/support/captured_progress.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/made_up_dataset.h"
#include "tools/corpus/build.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/verify.h"

namespace lory::corpus {

// Builds of one small corpus in a folder of the test's own.
struct BuildFixture : ::testing::Test {
  BuildFixture() : spec(TopicSpec(folder)) {}

  // Builds and returns the stages that ran.
  std::set<std::string> Build(const std::string& redo = "") {
    const auto summary =
        BuildDataset(spec, {.redo = redo}, captured.progress());
    EXPECT_OK(summary);
    std::set<std::string> ran;
    for (absl::string_view line : absl::StrSplit(captured.Take(), '\n')) {
      const std::vector<std::string> words =
          absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (absl::EndsWith(line, " s)")) {
        ran.insert(words[0]);
      }
    }
    return ran;
  }
  std::string Read(const std::string& name) {
    return *io::LocalStorage().Read(absl::StrCat(spec.output, "/", name));
  }
  absl::StatusOr<std::string> Verify() {
    return VerifyDataset(spec.output, captured.progress());
  }
  std::set<std::string> DocumentIds() {
    std::set<std::string> ids;
    const auto documents = ReadDocumentIndex(spec.output + "/documents.jsonl");
    EXPECT_OK(documents);
    for (const auto& document : *documents) {
      ids.insert(document.id);
    }
    return ids;
  }

  testing::TemporaryFolder folder;
  testing::CapturedProgress captured;
  CorpusSpec spec;
};

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_BUILD_FIXTURE_H_
