#ifndef LORY_TESTS_BENCH_NEIGHBOR_FIGURES_H_
#define LORY_TESTS_BENCH_NEIGHBOR_FIGURES_H_

#include <cstdint>

namespace lory::corpus {

// Graphs of neighbours beside FAISS's, in turns, on made-up unit vectors in
// groups. All cores. Prints a line for each turn, and one of ratios.
void ExactFigures(int64_t rows, int32_t dimensions, int32_t k);

// By inverted files of as many lists, each with the probes it needs for a
// recall of 0.95.
void ListFigures(int64_t rows, int32_t dimensions, int32_t k);

// Memory of both searches in rows of a mapped file, 16 MB of them packed at a
// time: what is this process's own at most, beyond what it had before.
void MemoryFigures(int64_t rows, int32_t dimensions, int32_t k);

}  // namespace lory::corpus

#endif  // LORY_TESTS_BENCH_NEIGHBOR_FIGURES_H_
