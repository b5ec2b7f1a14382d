#include "worker/ops/panel_layout.h"

#include <algorithm>

#include "worker/ops/cpu_level.h"

namespace lory::ops {
namespace {

// Columns of a square that is transposed while it is in the first-level cache.
constexpr int64_t kSquare = 16;

// to[c * to_stride + r] = from[r * from_stride + c].
template <typename T>
void Transpose(const T* from, int64_t rows, int64_t columns,
               int64_t from_stride, T* to, int64_t to_stride) {
  for (int64_t first = 0; first < columns; first += kSquare) {
    const int64_t last = std::min(columns, first + kSquare);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = first; c < last; ++c) {
        to[c * to_stride + r] = from[r * from_stride + c];
      }
    }
  }
}

}  // namespace

template <typename T>
int64_t PanelWidth() {
  return 2 * VectorBytes() / static_cast<int64_t>(sizeof(T));
}

template <typename T>
void PackTokenPanels(const T* rows, int64_t tokens, int64_t columns,
                     T* panels) {
  const int64_t width = PanelWidth<T>();
  for (int64_t token = 0; token < tokens; token += width) {
    const int64_t count = std::min(width, tokens - token);
    T* const panel = panels + token * columns;
    if (count < width) std::fill_n(panel, width * columns, T{0});
    Transpose(rows + token * columns, count, columns, columns, panel, width);
  }
}

template <typename T>
void UnpackTokenPanels(const T* panels, int64_t tokens, int64_t columns,
                       T* rows) {
  const int64_t width = PanelWidth<T>();
  for (int64_t token = 0; token < tokens; token += width) {
    Transpose(panels + token * columns, columns,
              std::min(width, tokens - token), width, rows + token * columns,
              columns);
  }
}

template <typename T>
void PackColumnPanels(const T* rows, int64_t tokens, int64_t columns,
                      T* panels) {
  const int64_t width = PanelWidth<T>();
  const int64_t depth = PanelCount(tokens, width) * width;
  for (int64_t column = 0; column < columns; column += width) {
    const int64_t count = std::min(width, columns - column);
    T* to = panels + column * depth;
    if (count < width || tokens < depth) std::fill_n(to, width * depth, T{0});
    for (int64_t token = 0; token < tokens; ++token, to += width) {
      std::copy_n(rows + token * columns + column, count, to);
    }
  }
}

template <typename T>
void TokenToColumnPanels(const T* token_panels, int64_t tokens, int64_t columns,
                         int64_t begin, int64_t end, T* column_panels) {
  const int64_t width = PanelWidth<T>();
  const int64_t depth = PanelCount(tokens, width) * width;
  for (int64_t column = begin; column < end; column += width) {
    const int64_t count = std::min(width, columns - column);
    T* const to = column_panels + column * depth;
    if (count < width) std::fill_n(to, width * depth, T{0});
    for (int64_t token = 0; token < tokens; token += width) {
      Transpose(token_panels + token * columns + column * width, count, width,
                width, to + token * width, width);
    }
  }
}

#define LORY_INSTANTIATE_PANELS(T)                                          \
  template int64_t PanelWidth<T>();                                         \
  template void PackTokenPanels<T>(const T*, int64_t, int64_t, T*);         \
  template void UnpackTokenPanels<T>(const T*, int64_t, int64_t, T*);       \
  template void PackColumnPanels<T>(const T*, int64_t, int64_t, T*);        \
  template void TokenToColumnPanels<T>(const T*, int64_t, int64_t, int64_t, \
                                       int64_t, T*);
LORY_INSTANTIATE_PANELS(float)
LORY_INSTANTIATE_PANELS(double)
#undef LORY_INSTANTIATE_PANELS

}  // namespace lory::ops
