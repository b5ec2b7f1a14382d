#include "common/flags/command_line.h"

#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::flags {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

std::optional<int> Parse(CommandLine& line, std::vector<const char*> words) {
  words.insert(words.begin(), "program");
  return line.Parse(static_cast<int>(words.size()), words.data());
}

// What is printed when `words` are wrong usage.
std::string Complaint(CommandLine& line, const std::vector<const char*>& words,
                      int exit = 2) {
  CaptureStderr();
  EXPECT_EQ(Parse(line, words), exit);
  return GetCapturedStderr();
}

TEST(CommandLine, FillsInWhatIsGivenAndLeavesTheRest) {
  std::string work = "here";
  int32_t slots = 1;
  int64_t bytes = 5;
  bool json = false;
  std::vector<std::string> roots;
  std::optional<std::string> order;
  std::optional<int64_t> sequence;
  CommandLine line({});
  line.Add("--work", work);
  line.Add("--slots", slots);
  line.Add("--bytes", bytes).Size();
  line.AddSwitch("--json", json, "");
  line.Add("--root", roots);
  line.Add("--order", order);
  line.Add("--sequence", sequence);
  EXPECT_EQ(Parse(line, {"--slots", "3", "--bytes", "2GB", "--json", "--root",
                         "a", "--root", "b", "--sequence", "17"}),
            std::nullopt);
  EXPECT_EQ(work, "here");
  EXPECT_EQ(slots, 3);
  EXPECT_EQ(bytes, 2'000'000'000);
  for (const char* wrong :
       {"--bytes=-5", "--bytes=-1MB", "--bytes=9999999999999999999"}) {
    CommandLine other({});
    other.Add("--bytes", bytes).Size();
    EXPECT_EQ(Parse(other, {wrong}), 2) << wrong;
  }
  EXPECT_TRUE(json);
  EXPECT_THAT(roots, ElementsAre("a", "b"));
  EXPECT_EQ(order, std::nullopt);
  EXPECT_EQ(sequence, 17);
}

TEST(CommandLine, AFlagWinsOverItsVariable) {
  ::setenv("LORY_TEST_MAX_ACTIVE", "7", 1);
  ::setenv("LORY_TEST_LEASE", "9s", 1);
  int32_t active = 1;
  absl::Duration lease = absl::Seconds(5);
  CommandLine line({.environment = "LORY_TEST_"});
  line.Add("--max-active", active);
  line.AddDuration("--lease", lease, "");
  EXPECT_EQ(Parse(line, {"--max-active", "3"}), std::nullopt);
  ::unsetenv("LORY_TEST_MAX_ACTIVE");
  ::unsetenv("LORY_TEST_LEASE");
  EXPECT_EQ(active, 3);
  EXPECT_EQ(lease, absl::Seconds(9));
}

TEST(CommandLine, WrongValuesAreNamed) {
  std::string value;
  int32_t number = 0;
  CommandLine line({});
  line.Add("--slots", number).Range(1, 64);
  line.Add("--errors", number).NotNegative();
  line.Add("--device", value).OneOf({"cpu", "cuda"});
  line.Add("--name", value).Check([](const std::string& text) {
    return text == "w" ? "" : "'" + text + "' is no name";
  });
  EXPECT_THAT(Complaint(line, {"--slots", "65"}),
              HasSubstr("--slots: Value 65 not in range 1 to 64"));
  EXPECT_THAT(Complaint(line, {"--errors", "-1"}),
              HasSubstr("--errors: -1 is not a number from 0 on\n"));
  EXPECT_THAT(Complaint(line, {"--device", "tpu"}),
              HasSubstr("--device: tpu not in {cpu,cuda}"));
  EXPECT_THAT(Complaint(line, {"--name", "x"}),
              HasSubstr("--name: 'x' is no name"));
  EXPECT_THAT(Complaint(line, {"--nmae", "w"}), HasSubstr("--nmae"));
  EXPECT_EQ(Parse(line, {"--name", "w"}), std::nullopt);
}

TEST(CommandLine, AddressesHaveAHostAndAPort) {
  std::string listen;
  CommandLine line({});
  line.Add("--listen", listen).Address();
  for (const char* wrong : {"7440", "localhost", "127.0.0.1:", ":7440", "::1",
                            "h:http", "h:-1", "h:65536", "[::1]"}) {
    EXPECT_THAT(Complaint(line, {"--listen", wrong}),
                HasSubstr(absl::StrCat("--listen: '", wrong,
                                       "' is not HOST:PORT, such as ")));
  }
  for (const char* good : {"127.0.0.1:0", "[::1]:0", "lory.example:65535",
                           "unix:/run/lory.sock"}) {
    EXPECT_EQ(Parse(line, {"--listen", good}), std::nullopt) << good;
  }
}

TEST(CommandLine, DurationsMustBeDurationsAndLongEnough) {
  absl::Duration limit = absl::Minutes(1);
  absl::Duration positive = absl::Minutes(1);
  CommandLine line({});
  line.AddDuration("--limit", limit, "");
  line.AddDuration("--positive", positive, "", absl::ZeroDuration());
  EXPECT_THAT(Complaint(line, {"--limit", "5 apples"}),
              HasSubstr("'5 apples' is no duration, such as 5s"));
  EXPECT_THAT(Complaint(line, {"--positive", "0s"}), HasSubstr("'0s'"));
  EXPECT_EQ(Parse(line, {"--limit", "0s", "--positive", "1ms"}), std::nullopt);
  EXPECT_EQ(limit, absl::ZeroDuration());
  EXPECT_EQ(positive, absl::Milliseconds(1));
}

TEST(CommandLine, KnowsTheLogFormats) {
  LogFormat format = LogFormat::kText;
  CommandLine line({});
  line.AddLogFormat(format, "");
  EXPECT_THAT(Complaint(line, {"--log-format", "xml"}), HasSubstr("xml"));
  EXPECT_EQ(Parse(line, {"--log-format", "json"}), std::nullopt);
  EXPECT_EQ(format, LogFormat::kJson);
}

TEST(CommandLine, HelpAndVersionEndWellAndAreData) {
  std::string shown = "x";
  CommandLine line({.name = "lory-test",
                    .about = "About it.",
                    .footer = "Exit codes: none.",
                    .version = "lory-test 1.2",
                    .environment = "LORY_TEST_",
                    .show_defaults = true});
  line.Add("--work", shown, "Folder").TypeName("DIR");
  CaptureStdout();
  EXPECT_EQ(Parse(line, {"--help"}), 0);
  EXPECT_THAT(GetCapturedStdout(),
              AllOf(HasSubstr("About it."), HasSubstr("lory-test [OPTIONS]"),
                    HasSubstr("--work DIR=x (Env:LORY_TEST_WORK)"),
                    HasSubstr("Exit codes: none.")));
  CaptureStdout();
  EXPECT_EQ(Parse(line, {"--version"}), 0);
  EXPECT_EQ(GetCapturedStdout(), "lory-test 1.2\n");
}

TEST(CommandLine, ExactlyOneCommandMustBeGiven) {
  std::string format = "text";
  std::string folder;
  CommandLine line({.flags_after_command = true});
  line.Add("-o,--output", format);
  Command check = line.AddCommand("check", "Looks");
  check.Add("FOLDER", folder).Required();
  Command list = line.AddCommand("list", "Lists");
  EXPECT_NE(Complaint(line, {}), "");
  EXPECT_THAT(Complaint(line, {"check"}), HasSubstr("FOLDER is required"));
  EXPECT_EQ(Parse(line, {"check", "data", "-o", "json"}), std::nullopt);
  EXPECT_TRUE(check.given());
  EXPECT_FALSE(list.given());
  EXPECT_EQ(folder, "data");
  EXPECT_EQ(format, "json");
}

TEST(CommandLine, AWordThatIsNoCommandIsNamed) {
  std::string format, folder;
  CommandLine line({.flags_after_command = true});
  line.Add("-o,--output", format);
  bool quick = false;
  line.AddSwitch("--quick", quick, "");
  line.AddCommand("build", "Builds").Add("FOLDER", folder).Required();
  line.AddCommand("inspect", "Looks");
  for (const std::vector<const char*>& words :
       {std::vector<const char*>{"buidl", "data"},
        {"-o", "json", "buidl"},
        {"-ojson", "buidl", "data"},
        {"--output=json", "--quick", "buidl"}}) {
    EXPECT_THAT(Complaint(line, words),
                HasSubstr("'buidl' is no command; did you mean build?"));
  }
  EXPECT_THAT(Complaint(line, {"frobnicate"}),
              HasSubstr("'frobnicate' is none of build, inspect"));
  // What is no command's business is told as before.
  for (const std::vector<const char*>& words :
       {std::vector<const char*>{"build"}, {"build", "buidl", "inspekt"}, {}}) {
    EXPECT_THAT(Complaint(line, words), AllOf(Not(HasSubstr("did you mean")),
                                              Not(HasSubstr("is none of"))));
  }
}

TEST(CommandLine, WrongUsageEndsAsTheProgramSays) {
  std::string value;
  CommandLine three({.usage_exit = 3});
  three.Add("--work", value).Required();
  EXPECT_THAT(Complaint(three, {}, 3), HasSubstr("--work is required"));
  CommandLine by_mistake({.usage_exit = std::nullopt});
  by_mistake.Add("--work", value).Required();
  EXPECT_NE(Complaint(by_mistake, {}, 106), "");
  EXPECT_NE(Complaint(by_mistake, {"--work", "x", "--y"}, 109), "");
}

}  // namespace
}  // namespace lory::flags
