#ifndef LORY_TOOLS_CORPUS_CLUSTERS_H_
#define LORY_TOOLS_CORPUS_CLUSTERS_H_

#include <cstdint>
#include <vector>

#include "tools/corpus/row_set.h"

namespace lory::corpus {

// Middles of groups of rows, of unit length: k-means by inner product on 32
// rows a group, evenly chosen, in six rounds. The same for any number of
// threads. At most as many as there are rows; all cores.
std::vector<float> FindMiddles(const RowSet& rows, int64_t groups,
                               uint64_t seed);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_CLUSTERS_H_
