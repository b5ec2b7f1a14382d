#include "common/data/tensor_rows.h"

#include "gtest/gtest.h"

namespace lory::data {
namespace {

TEST(TensorRows, NamesGoThereAndBack) {
  const TensorRows rows{
      .tensor = "param/lm_head.weight", .first = 128, .end = 256};
  EXPECT_EQ(RowsName(rows), "param/lm_head.weight[128:256]");
  const auto parsed = ParseRowsName(RowsName(rows));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->tensor, "param/lm_head.weight");
  EXPECT_EQ(parsed->first, 128);
  EXPECT_EQ(parsed->end, 256);
}

TEST(TensorRows, OtherNamesAreOfWholeTensors) {
  for (const char* name :
       {"", "param/w", "w]", "w[1:]", "w[:2]", "w[2:2]", "w[-1:2]", "w[1:2",
        "w[1:2]x", "w[1]", "w[01:2]", "w[ 1:2]", "w[1:+2]"}) {
    EXPECT_FALSE(ParseRowsName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace lory::data
