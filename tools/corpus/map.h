#ifndef LORY_TOOLS_CORPUS_MAP_H_
#define LORY_TOOLS_CORPUS_MAP_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "tools/corpus/dataset_view.h"

namespace lory::corpus {

struct MapOptions {
  int64_t documents = 5000;  // points at most, evenly out of the packed order
  int64_t walk = 500;        // of the first documents whose order is drawn
};

// A picture of the corpus: each document a point in the plane in which the
// vectors differ most, coloured by domain, and the order of the first of them
// as a line. Text of an SVG file. FAILED_PRECONDITION as
// DatasetView::OpenVectors.
absl::StatusOr<std::string> DrawMap(DatasetView& view,
                                    const MapOptions& options);

// Writes that to `output` and says so in a line for people. What CheckPicture
// says.
absl::StatusOr<std::string> MapDataset(const std::string& path,
                                       const MapOptions& options,
                                       const std::string& output);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_MAP_H_
