#ifndef LORY_WORKER_OPS_PANEL_LAYOUT_H_
#define LORY_WORKER_OPS_PANEL_LAYOUT_H_

#include <cstdint>

// How matrices lie for PanelProduct: in panels as wide as two vectors.
//
// A matrix of C columns and T rows (tokens) lies in one of two ways, W being
// the panel width of this CPU; what fills the last panel up is zero:
//   token panels    [T / W][C][W]   transposed, tokens along the vectors
//   column panels   [C / W][T'][W]  columns along the vectors; T' is T rounded
//                                   up to W
// T is float or double. All functions work on the calling thread.
namespace lory::ops {

// Numbers in a row of a panel: 16 floats with AVX2, 32 with AVX-512.
template <typename T>
int64_t PanelWidth();

inline int64_t PanelCount(int64_t length, int64_t width) {
  return (length + width - 1) / width;
}

// Row-major tokens x columns, rows `columns` apart, into token panels.
template <typename T>
void PackTokenPanels(const T* rows, int64_t tokens, int64_t columns, T* panels);

// And back.
template <typename T>
void UnpackTokenPanels(const T* panels, int64_t tokens, int64_t columns,
                       T* rows);

// Row-major tokens x columns into column panels.
template <typename T>
void PackColumnPanels(const T* rows, int64_t tokens, int64_t columns,
                      T* panels);

// Columns `begin` to `end` of token panels, begin a multiple of the panel
// width, into the column panels of the whole.
template <typename T>
void TokenToColumnPanels(const T* token_panels, int64_t tokens, int64_t columns,
                         int64_t begin, int64_t end, T* column_panels);

#define LORY_DECLARE_PANELS(T)                                               \
  extern template int64_t PanelWidth<T>();                                   \
  extern template void PackTokenPanels<T>(const T*, int64_t, int64_t, T*);   \
  extern template void UnpackTokenPanels<T>(const T*, int64_t, int64_t, T*); \
  extern template void PackColumnPanels<T>(const T*, int64_t, int64_t, T*);  \
  extern template void TokenToColumnPanels<T>(const T*, int64_t, int64_t,    \
                                              int64_t, int64_t, T*);
LORY_DECLARE_PANELS(float)
LORY_DECLARE_PANELS(double)
#undef LORY_DECLARE_PANELS

}  // namespace lory::ops

#endif  // LORY_WORKER_OPS_PANEL_LAYOUT_H_
