#include "tools/corpus/neighbors.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/exact_search.h"

namespace lory::corpus {

absl::StatusOr<StageResult> Neighbors(std::span<const float> vectors,
                                      std::span<const uint8_t> held_out,
                                      int32_t dimensions, int32_t k,
                                      const std::string& folder,
                                      Progress& progress) {
  std::vector<int32_t> documents;
  for (size_t i = 0; i < held_out.size(); ++i) {
    if (!held_out[i]) documents.push_back(static_cast<int32_t>(i));
  }
  const RowSet rows(vectors, dimensions, documents);
  const int64_t count = rows.count();
  progress.Start("neighbors", count);
  LORY_ASSIGN_OR_RETURN(auto file, ArrayWriter<Neighbor>::Create(absl::StrCat(
                                       folder, "/", kNeighborsFile)));
  absl::Status written;
  double nearest = 0;
  SearchAll(
      rows, k, {}, [&](int64_t done) { progress.Advance(done); },
      [&](std::span<const Neighbor> lists) {
        for (size_t i = 0; i < lists.size(); i += k) {
          nearest += lists[i].similarity;
        }
        written.Update(file.Append(lists));
      });
  LORY_RETURN_IF_ERROR(written);
  LORY_RETURN_IF_ERROR(file.Finish());
  nearest /= static_cast<double>(std::max<int64_t>(count, 1));
  return StageResult{
      {kNeighborsFile},
      {{"documents", static_cast<double>(count)}, {"nearest", nearest}},
      absl::StrFormat(
          "%d of %d documents each, the nearest %.3f on average%s",
          std::min<int64_t>(k, count - 1), count, nearest,
          k < count ? ""
                    : absl::StrCat(" (k is ", k, ", more than there are)"))};
}

}  // namespace lory::corpus
