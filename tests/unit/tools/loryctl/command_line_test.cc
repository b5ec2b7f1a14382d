#include "tools/loryctl/command_line.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/config/job_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/loryctl/fake_service.h"

namespace lory::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(CommandLine, MistypedCommandsAreExitCodeTwoWithASuggestion) {
  Outcome outcome = Loryctl({"jbo", "list"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("did you mean job?"),
                                 HasSubstr("try: loryctl --help")));
  outcome = Loryctl({"job", "lst"});
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("did you mean list?"),
                                 HasSubstr("try: loryctl job --help")));
  outcome = Loryctl({"--timeout", "5", "job", "frobnicate"});
  EXPECT_THAT(outcome.err, HasSubstr("'frobnicate' is none of submit, "));
  EXPECT_EQ(Loryctl({"job", "get"}).code, 2);
  EXPECT_EQ(Loryctl({"job", "list", "--nonsense"}).code, 2);
  EXPECT_EQ(Loryctl({"job", "list", "--timeout", "-1"}).code, 2);
  EXPECT_EQ(Loryctl({}).code, 2);
}

TEST(CommandLine, AnUnknownFormatIsRefusedBeforeAnythingIsDone) {
  const Outcome outcome = Loryctl({"job", "list", "-o", "xml"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("table, json, yaml or name"));
}

TEST(CommandLine, HelpAndVersionGoToStdout) {
  const Outcome help = Loryctl({"job", "submit", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("examples:"), HasSubstr("--dry-run")));
  EXPECT_THAT(help.err, IsEmpty());
  EXPECT_EQ(Loryctl({"version"}).out, "loryctl " LORY_VERSION "\n");
  EXPECT_EQ(Loryctl({"--version"}).out, "loryctl " LORY_VERSION "\n");
}

TEST(CommandLine, WhatCannotBeWrittenIsAnError) {
  for (const char* argument : {"--help", "--version", "version"}) {
    const Outcome outcome = Loryctl({argument}, {.full = true});
    EXPECT_EQ(outcome.code, 1) << argument;
    EXPECT_THAT(outcome.err, HasSubstr("is the disk full")) << argument;
  }
}

TEST(CommandLine, AServerThatIsNoHostAndPortIsNotAsked) {
  for (const char* server : {"localhost", "a.example:99999"}) {
    const Outcome outcome = Loryctl({"job", "list", "--server", server});
    EXPECT_EQ(outcome.code, 2) << server;
    EXPECT_THAT(outcome.err,
                HasSubstr(absl::StrCat("error: --server: '", server,
                                       "' is not HOST:PORT, such as ")));
  }
}

// The coordinator comes up once loryctl was turned away.
TEST(CommandLine, ACoordinatorThatComesUpIsFoundWhileACallIsTriedAgain) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.At("socket");
  sockaddr_un name = {.sun_family = AF_UNIX};
  path.copy(name.sun_path, sizeof(name.sun_path) - 1);
  const int closed = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(closed, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  ASSERT_EQ(listen(closed, 1), 0);
  FakeService fake;
  std::jthread late([&] {
    close(accept(closed, nullptr, nullptr));
    close(closed);
    unlink(path.c_str());
    fake.Start({}, absl::StrCat("unix:", path));
  });
  const Outcome outcome =
      Loryctl({"job", "list", "--server", absl::StrCat("unix:", path)});
  late.join();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST(CommandLine, AnUnreachableCoordinatorIsExitCodeFour) {
  // Port 1 is nobody's.
  const Outcome outcome =
      Loryctl({"job", "list"}, {.variables = {{"LORY_SERVER", "127.0.0.1:1"}}});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("cannot reach the coordinator at 127.0.0.1:1 "
                              "(LORY_SERVER)"),
                    HasSubstr("try: is lory-coordinator running there?")));
}

TEST(CommandLine, WithoutTlsOnlyLoopbackIsSpokenTo) {
  const Outcome outcome = Loryctl({"-s", "example.org:7440", "job", "list"});
  EXPECT_EQ(outcome.code, 8);
  EXPECT_THAT(outcome.err, HasSubstr("--tls-ca"));
}

TEST(CommandLine, SettingsComeFromFlagVariableFileAndDefault) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.Write("c.yaml", "server: 127.0.0.1:2\n");
  Terminal terminal{.variables = {{"LORY_CONFIG", path}}};
  EXPECT_THAT(Loryctl({"job", "list"}, terminal).err,
              HasSubstr(absl::StrCat("127.0.0.1:2 (", path, ")")));
  terminal.variables["LORY_SERVER"] = "127.0.0.1:3";
  EXPECT_THAT(Loryctl({"job", "list"}, terminal).err,
              HasSubstr("127.0.0.1:3 (LORY_SERVER)"));
  EXPECT_THAT(Loryctl({"-s", "127.0.0.1:4", "job", "list"}, terminal).err,
              HasSubstr("127.0.0.1:4 (--server)"));
}

TEST(CommandLine, AWrongConfigurationFileNamesTheLine) {
  const testing::TemporaryFolder folder;
  const Terminal terminal{
      .variables = {{"LORY_CONFIG", folder.Write("c.yaml", "\nsrever: x\n")}}};
  const Outcome outcome = Loryctl({"job", "list"}, terminal);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("c.yaml:2: srever: unknown key"));
  EXPECT_EQ(
      Loryctl({"job", "list"}, {.variables = {{"LORY_CONFIG", "/none"}}}).code,
      3);
}

TEST(CommandLine, TheExampleJobFileIsAJobFile) {
  const Outcome outcome = Loryctl({"help", "job-file"});
  EXPECT_OK(config::ParseJobFile(outcome.out, "help", {}));
}

TEST(CommandLine, TheQuickstartsJobIsAJob) {
  const Outcome outcome =
      Loryctl({"job", "submit", "--dry-run", "--offline", "-f",
               LORY_SOURCE_DIR "/tools/quickstart/job.yaml"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST(CommandLine, EveryVerbHasAnExample) {
  const Outcome page = Loryctl({"help", "markdown"});
  for (const auto part : absl::StrSplit(page.out, "\n### loryctl ")) {
    const bool is_noun = absl::StrContains(part, "SUBCOMMAND");
    const bool is_text = absl::StartsWith(part, "help ");
    if (is_noun || is_text) continue;
    EXPECT_THAT(part, HasSubstr("examples:"));
  }
}

// docs/cli.md is this output; after a change write it anew with
// `loryctl help markdown > docs/cli.md`.
TEST(CommandLine, TheDocumentationIsWhatHelpPrints) {
  std::ifstream file(LORY_SOURCE_DIR "/docs/cli.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), Loryctl({"help", "markdown"}).out);
}

}  // namespace
}  // namespace lory::ctl
