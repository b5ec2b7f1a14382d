#include "tools/verify/trace_reader.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/verify/made_up_run.h"

namespace lory::verify {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A folder with the file a-0.jsonl of this content, read back.
Trace ReadBack(const std::string& text) {
  const std::string folder =
      absl::StrCat(::testing::TempDir(), "trace_reader_", ::getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(absl::StrCat(folder, "/a-0.jsonl")) << text;
  auto trace = ReadTrace(folder);
  EXPECT_TRUE(trace.ok()) << trace.status();
  std::filesystem::remove_all(folder);
  return trace.ok() ? *std::move(trace) : Trace();
}

TEST(ReadTrace, ReadsWhatATrainerWrites) {
  const MadeUpRun run;
  const TraceLine line = run.Line("a-0.jsonl", 2, 5);
  const Trace trace = ReadBack(ToJsonLine(line));
  ASSERT_THAT(trace.lines, SizeIs(1));
  EXPECT_TRUE(trace.lines[0].SaysTheSameAs(line));
  EXPECT_EQ(trace.lines[0].Place(), "a-0.jsonl:1");
}

TEST(ReadTrace, ATornLastLineIsNoGarbage) {
  const std::string line = ToJsonLine(MadeUpRun().Line("a-0.jsonl", 2, 5));
  for (size_t length = 1; length < line.size(); ++length) {
    const Trace trace = ReadBack(line + line.substr(0, length));
    EXPECT_THAT(trace.lines, SizeIs(1)) << length;
    EXPECT_THAT(trace.garbage, IsEmpty()) << length;
  }
}

TEST(ReadTrace, AWholeLineBehindATornOneIsRead) {
  const std::string line = ToJsonLine(MadeUpRun().Line("a-0.jsonl", 2, 5));
  const Trace trace = ReadBack(line.substr(0, 40) + line);
  EXPECT_THAT(trace.lines, SizeIs(1));
  EXPECT_THAT(trace.torn, ElementsAre("a-0.jsonl:1"));
}

TEST(ReadTrace, WholeLinesThatAreNoneAreGarbage) {
  EXPECT_THAT(ReadBack("hello\n{\"step\":1}\n").garbage,
              ElementsAre("a-0.jsonl:1", "a-0.jsonl:2"));
}

TEST(ReadTrace, AMissingFolderSaysWhatToGive) {
  EXPECT_THAT(
      ReadTrace("/nowhere/trace"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("--storage-root")));
}

TEST(ParseTraceLine, RefusesWrongTypesAndDigests) {
  const std::string line = ToJsonLine(MadeUpRun().Line("a-0.jsonl", 2, 5));
  ASSERT_TRUE(ParseTraceLine(line).has_value());
  for (const auto& [from, to] :
       std::initializer_list<std::pair<std::string, std::string>>{
           {"\"step\":5", "\"step\":\"5\""},
           {"\"step\":5", "\"step\":5.5"},
           {"\"step\":5", "\"step\":-5"},
           {"\"step\":5", "\"step\":9223372036854775808"},
           {"\"generation\":", "\"generation\":-"},
           {"\"shares\":[1,3]", "\"shares\":[1,\"3\"]"},
           {"\"shares\":[1,3]", "\"shares\":[1,-3]"},
           {"\"shares\":[1,3]", "\"shares\":4"},
           {"\"sums\":[\"", "\"sums\":[\"g"},
           {"\"digest\":\"", "\"digest\":\"z"}}) {
    std::string changed = line;
    changed.replace(changed.find(from), from.size(), to);
    EXPECT_FALSE(ParseTraceLine(changed).has_value()) << changed;
  }
}

}  // namespace
}  // namespace lory::verify
