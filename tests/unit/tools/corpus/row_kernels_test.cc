#include "tools/corpus/row_kernels.h"

#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace lory::corpus {
namespace {

std::vector<int16_t> Numbers(Random& random, int64_t count, int largest) {
  std::vector<int16_t> numbers(count);
  for (int16_t& number : numbers) {
    number = static_cast<int16_t>(
        static_cast<int>(random.Below(static_cast<uint64_t>(2 * largest + 1))) -
        largest);
  }
  return numbers;
}

// Of row `row` of the groups with `column` of the panel, number by number.
int64_t Product(const std::vector<int16_t>& groups, int64_t pairs, int64_t row,
                const std::vector<int16_t>& panel, int column) {
  const int16_t* group =
      groups.data() + row / kGroupRows * pairs * 2 * kGroupRows;
  int64_t sum = 0;
  for (int64_t k = 0; k < 2 * pairs; ++k) {
    const int64_t pair = k / 2, half = k % 2;
    sum += int64_t{group[(pair * kGroupRows + row % kGroupRows) * 2 + half]} *
           panel[(pair * kPanelRows + column) * 2 + half];
  }
  return sum;
}

TEST(RowKernels, TheLastRunsEverywhere) {
  EXPECT_STREQ(RowKernelsHere().back().name, "portable");
}

TEST(RowKernels, MultiplyEveryRowWithEveryColumn) {
  Random random(1);
  for (const int64_t pairs : {1, 2, 3, 17, 256}) {
    for (const int64_t group_count : {1, 2, 3, 8}) {
      const int64_t stride = pairs * 2 * kGroupRows;
      // No sum of 512 products of these exceeds 31 bits.
      const auto groups = Numbers(random, group_count * stride, 2000);
      const auto panel = Numbers(random, pairs * 2 * kPanelRows, 2000);
      const int64_t count = group_count * kGroupRows * kPanelRows;
      for (const RowKernels& kernels : RowKernelsHere()) {
        for (const bool add : {false, true}) {
          SCOPED_TRACE(kernels.name + std::string(add ? " adds" : ""));
          std::vector<int32_t> products(count + 1, 7);
          kernels.tiles({.groups = groups.data(),
                         .group_stride = stride,
                         .group_count = group_count,
                         .panel = panel.data(),
                         .pairs = pairs,
                         .add = add,
                         .products = products.data()});
          for (int64_t i = 0; i < count; ++i) {
            ASSERT_EQ(products[i], Product(groups, pairs, i / kPanelRows, panel,
                                           static_cast<int>(i % kPanelRows)) +
                                       (add ? 7 : 0))
                << i << " of " << pairs << " pairs";
          }
          EXPECT_EQ(products[count], 7);
        }
      }
    }
  }
}

// The greatest that a row of length 2^15 can have, with either sign.
TEST(RowKernels, DoNotOverflow) {
  for (const RowKernels& kernels : RowKernelsHere()) {
    std::vector<int16_t> groups(2 * 2 * kGroupRows);
    std::vector<int16_t> panel(2 * kPanelRows);
    groups[0] = 32767;
    groups[2 * kGroupRows] = -32767;  // the first row of the second group
    panel[0] = 32767;
    panel[2] = -32767;
    std::vector<int32_t> products(2 * kGroupRows * kPanelRows);
    kernels.tiles({.groups = groups.data(),
                   .group_stride = 2 * kGroupRows,
                   .group_count = 2,
                   .panel = panel.data(),
                   .pairs = 1,
                   .products = products.data()});
    constexpr int32_t kSquare = 32767 * 32767;
    EXPECT_EQ(products[0], kSquare) << kernels.name;
    EXPECT_EQ(products[1], -kSquare) << kernels.name;
    EXPECT_EQ(products[kGroupRows * kPanelRows], -kSquare) << kernels.name;
    EXPECT_EQ(products[kGroupRows * kPanelRows + 1], kSquare) << kernels.name;
  }
}

TEST(RowKernels, TellWhatPassesAFloor) {
  Random random(2);
  constexpr int64_t kRows = 40;
  std::vector<int32_t> products(kRows * kPanelRows);
  for (int32_t& product : products) {
    product = static_cast<int32_t>(random.Below(2001)) - 1000;
  }
  const auto floats = [&](int64_t count, double least, double most) {
    std::vector<float> numbers(count);
    for (float& number : numbers) {
      number = static_cast<float>(least + random.NextDouble() * (most - least));
    }
    return numbers;
  };
  const auto row_scales = floats(kRows, 0.5, 2);
  const auto column_scales = floats(kPanelRows, 0.5, 2);
  auto row_floors = floats(kRows, 0, 2000);
  const auto column_floors = floats(kPanelRows, 0, 2000);
  // What is just enough passes.
  row_floors[0] = ScaledProduct(products[0], column_scales[0], row_scales[0]);
  const PassArguments arguments = {.products = products.data(),
                                   .rows = kRows,
                                   .row_scales = row_scales.data(),
                                   .row_floors = row_floors.data(),
                                   .column_scales = column_scales.data(),
                                   .column_floors = column_floors.data()};
  for (const RowKernels& kernels : RowKernelsHere()) {
    std::vector<uint16_t> masks(kRows);
    kernels.passing(arguments, masks.data());
    int passing = 0;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int c = 0; c < kPanelRows; ++c) {
        const float value = ScaledProduct(products[r * kPanelRows + c],
                                          column_scales[c], row_scales[r]);
        const bool passes = value >= row_floors[r] || value >= column_floors[c];
        passing += passes;
        EXPECT_EQ(masks[r] >> c & 1, passes) << kernels.name;
      }
    }
    EXPECT_TRUE(masks[0] & 1) << kernels.name;
    EXPECT_GT(passing, 20);
    EXPECT_LT(passing, kRows * kPanelRows - 20);
  }
}

}  // namespace
}  // namespace lory::corpus
