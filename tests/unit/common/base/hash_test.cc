#include "common/base/hash.h"

#include "gtest/gtest.h"

namespace lory {
namespace {

TEST(Sha256, EqualsThePublishedVector) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(Sha256Hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, DoesNotCareHowTheBytesArrive) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("bc");
  EXPECT_EQ(hash.Finish(), Sha256Bytes("abc"));
}

TEST(FastHash64, DependsOnBytesAndSeed) {
  EXPECT_EQ(FastHash64("abc", 3), FastHash64("abc", 3));
  EXPECT_NE(FastHash64("abc", 3), FastHash64("abd", 3));
  EXPECT_NE(FastHash64("abc", 3), FastHash64("abc", 3, 1));
}

}  // namespace
}  // namespace lory
