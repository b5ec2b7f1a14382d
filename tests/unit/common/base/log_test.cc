#include "common/base/log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

TEST(Log, QuotesOnlyWhatNeedsIt) {
  CaptureStderr();
  Log(LogLevel::kInfo, "round granted",
      {{"job", "tiny"}, {"steps", 40}, {"reason", "two\nlines"}});
  EXPECT_THAT(GetCapturedStderr(),
              EndsWith("info \"round granted\" job=tiny steps=40 "
                       "reason=\"two\\nlines\"\n"));
}

TEST(Log, DropsWhatIsBelowTheLevel) {
  CaptureStderr();
  Log(LogLevel::kDebug, "unseen");
  EXPECT_EQ(GetCapturedStderr(), "");
}

TEST(Log, WritesJsonWhenAsked) {
  SetLogOptions(LogLevel::kInfo, LogFormat::kJson);
  CaptureStderr();
  Log(LogLevel::kWarning, "say \"hi\"", {{"rank", 1}});
  const std::string line = GetCapturedStderr();
  SetLogOptions(LogLevel::kInfo, LogFormat::kText);
  EXPECT_THAT(line, HasSubstr("\"level\":\"warning\""));
  EXPECT_THAT(line,
              HasSubstr("\"message\":\"say \\\"hi\\\"\",\"rank\":\"1\"}"));
}

}  // namespace
}  // namespace lory
