#ifndef LORY_TOOLS_CORPUS_STATS_H_
#define LORY_TOOLS_CORPUS_STATS_H_

#include <string>

#include "absl/status/statusor.h"

namespace lory::corpus {

// What is in a dataset and what became of its input, for people: lengths,
// what was dropped and why with examples, the walk, and how coherent contexts
// are. What needs stages/ is left out, and said so, when that was removed.
absl::StatusOr<std::string> DatasetStats(const std::string& path);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_STATS_H_
