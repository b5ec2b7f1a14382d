#ifndef LORY_TOOLS_CORPUS_COMPARE_H_
#define LORY_TOOLS_CORPUS_COMPARE_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/corpus/coherence.h"

namespace lory::corpus {

// Two datasets side by side, for people: how similar documents are inside
// contexts and between them, and how many domains meet there. Both need their
// stages/. What DatasetView says.
absl::StatusOr<std::string> CompareDatasets(const std::string& path,
                                            const std::string& other);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_COMPARE_H_
