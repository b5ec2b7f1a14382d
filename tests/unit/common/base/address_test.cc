#include "common/base/address.h"

#include "gtest/gtest.h"

namespace lory {
namespace {

TEST(AddressTest, SplitsAndJoins) {
  EXPECT_EQ(SplitHostPort("[::1]:80").host, "::1");
  EXPECT_EQ(SplitHostPort("a.example:7440").port, "7440");
  EXPECT_EQ(SplitHostPort("nonsense").host, "");
  EXPECT_EQ(JoinHostPort("::1", "80"), "[::1]:80");
  EXPECT_EQ(JoinHostPort("127.0.0.1", "80"), "127.0.0.1:80");
}

// What is in one bracket alone is no address to anybody else.
TEST(AddressTest, OneBracketAloneIsPartOfTheHost) {
  EXPECT_EQ(SplitHostPort("[::1:80").host, "[::1");
  EXPECT_EQ(SplitHostPort("::1]:80").host, "::1]");
  EXPECT_EQ(SplitHostPort("[:80").host, "[");
  for (const char* address : {"[::1:80", "[127.0.0.1:80", "[localhost:80"}) {
    EXPECT_FALSE(IsLoopbackAddress(address)) << address;
  }
}

TEST(AddressTest, AnAddressHasAHostAndAPort) {
  for (const char* address :
       {"a.example:7440", "[::1]:0", "127.0.0.1:65535", "unix:/run/x"}) {
    EXPECT_TRUE(IsAddress(address)) << address;
  }
  for (const char* address : {"a.example", "127.0.0.1:65536", "127.0.0.1:-1",
                              ":80", "::1", "127.0.0.1:", "a:http", ""}) {
    EXPECT_FALSE(IsAddress(address)) << address;
  }
}

TEST(AddressTest, KnowsLoopbackByItsText) {
  for (const char* address : {"127.0.0.1:1", "127.3.2.1:0", "localhost:80",
                              "[::1]:80", "unix:/run/x"}) {
    EXPECT_TRUE(IsLoopbackAddress(address)) << address;
  }
}

TEST(AddressTest, WhatOnlyLooksLikeLoopbackIsNot) {
  for (const char* address :
       {"0.0.0.0:1", ":80", "10.0.0.1:80", "[::]:80", "127.0.0.1.example:80",
        "localhost.example:80", "127.0.0.1", ""}) {
    EXPECT_FALSE(IsLoopbackAddress(address)) << address;
  }
}

}  // namespace
}  // namespace lory
