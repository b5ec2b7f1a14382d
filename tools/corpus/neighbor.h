#ifndef LORY_TOOLS_CORPUS_NEIGHBOR_H_
#define LORY_TOOLS_CORPUS_NEIGHBOR_H_

#include <cstdint>

namespace lory::corpus {

struct Neighbor {
  int32_t document = -1;  // -1: there are fewer than k others
  float similarity = 0;

  bool operator==(const Neighbor&) const = default;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEIGHBOR_H_
