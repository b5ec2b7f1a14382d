#ifndef LORY_TOOLS_CORPUS_INSPECT_H_
#define LORY_TOOLS_CORPUS_INSPECT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace lory::corpus {

// What a dataset is made of, for people; with `sequence` instead the
// documents of that stored sequence one below the other: domain, tokens,
// similarity to the one before and first lines.
//
// OUT_OF_RANGE: there is no such sequence. Otherwise what Dataset::Open says.
absl::StatusOr<std::string> InspectDataset(const std::string& path,
                                           std::optional<int64_t> sequence);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_INSPECT_H_
