#include "worker/daemon/flags.h"

#include <initializer_list>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::daemon {
namespace {

using ::testing::HasSubstr;

// Parses what every daemon needs and `more`.
std::optional<Flags> Parse(const char* coordinator,
                           std::initializer_list<const char*> more,
                           int* status) {
  std::vector<const char*> argv = {
      "lory-worker", "--coordinator",  coordinator,   "--name",
      "w",           "--work",         "/tmp/w",      "--data-root",
      "/tmp/data",   "--storage-root", "/tmp/storage"};
  argv.insert(argv.end(), more);
  return ParseFlags(static_cast<int>(argv.size()), argv.data(), status);
}

TEST(Flags, AdvertisesTheHostItListensOn) {
  int status = -1;
  auto flags = Parse("127.0.0.1:0", {}, &status);
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(flags->advertise_host, "127.0.0.1");
  flags = Parse("lory.example:7440", {"--listen", "10.0.0.7:0"}, &status);
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(flags->advertise_host, "10.0.0.7");
  flags =
      Parse("lory.example:7440",
            {"--listen", "0.0.0.0:0", "--advertise-host", "node-7"}, &status);
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(flags->advertise_host, "node-7");
}

TEST(Flags, RefusesAnAddressThatOtherHostsCannotReach) {
  int status = -1;
  ::testing::internal::CaptureStderr();
  EXPECT_FALSE(Parse("lory.example:7440", {}, &status).has_value());
  EXPECT_EQ(status, kExitUsage);
  EXPECT_FALSE(
      Parse("127.0.0.1:0", {"--listen", "0.0.0.0:0"}, &status).has_value());
  EXPECT_EQ(status, kExitUsage);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("give --advertise-host HOST"));
}

}  // namespace
}  // namespace lory::daemon
