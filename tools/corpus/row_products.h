#ifndef LORY_TOOLS_CORPUS_ROW_PRODUCTS_H_
#define LORY_TOOLS_CORPUS_ROW_PRODUCTS_H_

#include <cstdint>
#include <vector>

// Inner products of many rows with many, in whole numbers of 16 bits: twice as
// fast as in floats, exact, and so the same whatever the CPU. What rounding
// costs is known for every row (RoundedRow), so that a search can tell which
// pairs it must look at again. Pure; thread-safe.
namespace lory::corpus {

inline constexpr int kPanelRows = 16;  // columns of products
inline constexpr int kGroupRows = 4;   // rows of products

// Numbers are taken in twos; the last may be alone.
inline int64_t PairsOf(int32_t dimensions) { return (dimensions + 1) / 2; }

// How a row is rounded: number x becomes x / step. Its length is then at most
// 32,767 + sqrt(dimensions) / 2, so that no product of two rows, nor a part of
// one, exceeds 32 bits: not before 10^8 dimensions.
struct RoundedRow {
  float step = 0;
  float scale = 0;   // what products are multiplied by: the step
  float length = 0;  // before
  float lost = 0;    // the length of what rounding took away, at least
};

// A row whose length is no finite float is taken for one of zeros.
RoundedRow MeasureRow(const float* row, int32_t dimensions);

// Puts rounded rows where Products wants them: `place` of a panel (16) or of a
// group (4). `out` has PairsOf(dimensions) x stride pairs.
void PackRow(const float* row, int32_t dimensions, const RoundedRow& rounded,
             int place, int stride, int16_t* out);

// products[i][j] of row i of `group_count` groups that follow each other with
// row j of a panel: 16 numbers a row.
void Products(const int16_t* groups, int64_t group_count, const int16_t* panel,
              int64_t pairs, int32_t* products);

// What makes a product one to look at: product x column_scale x row_scale is no
// less than the floor of its row or that of its column.
struct PassArguments {
  const int32_t* products = nullptr;  // 16 a row
  int64_t rows = 0;
  const float* row_scales = nullptr;
  const float* row_floors = nullptr;
  const float* column_scales = nullptr;  // 16
  const float* column_floors = nullptr;  // 16
};

inline float ScaledProduct(int32_t product, float column_scale,
                           float row_scale) {
  return static_cast<float>(product) * column_scale * row_scale;
}

// One bit a column for each row.
void FindPassing(const PassArguments& arguments, uint16_t* masks);

// Inner products of `row` with four others, each added up as Similarity does,
// number by number, and the same bits: four at a time wait less.
void FourSimilarities(const float* row, const float* const others[4],
                      int32_t dimensions, double similarities[4]);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ROW_PRODUCTS_H_
