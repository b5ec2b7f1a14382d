#ifndef LORY_TOOLS_CORPUS_ROW_KERNELS_H_
#define LORY_TOOLS_CORPUS_ROW_KERNELS_H_

#include <cstdint>
#include <span>

#include "tools/corpus/row_products.h"

// The innermost loops of Products and FindPassing, once for every kind of CPU
// that is worth its own. All give the same bits. Pure; thread-safe.
namespace lory::corpus {

// Some pairs of numbers of groups that follow each other, and of one panel.
struct TileArguments {
  const int16_t* groups = nullptr;
  int64_t group_stride = 0;  // numbers from a group to the next
  int64_t group_count = 0;
  const int16_t* panel = nullptr;
  int64_t pairs = 0;
  bool add = false;             // to what `products` has
  int32_t* products = nullptr;  // kPanelRows a row of the groups
};

struct RowKernels {
  const char* name;
  void (*tiles)(const TileArguments& arguments);
  void (*passing)(const PassArguments& arguments, uint16_t* masks);
};

// Those that this CPU runs, the fastest first; the last runs everywhere.
std::span<const RowKernels> RowKernelsHere();

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ROW_KERNELS_H_
