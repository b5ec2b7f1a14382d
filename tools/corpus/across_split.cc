#include "tools/corpus/across_split.h"

#include <optional>
#include <span>
#include <utility>

#include "tools/corpus/cosine.h"
#include "tools/corpus/exact_search.h"
#include "tools/corpus/parallel.h"
#include "tools/corpus/row_set.h"
#include "tools/corpus/shingle_index.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

constexpr int64_t kGrain = 64;  // documents

// A pair for each document to train, or none.
using Proposals = std::vector<std::optional<NearPair>>;

std::vector<NearPair> Found(std::span<const std::optional<NearPair>> pairs) {
  std::vector<NearPair> found;
  for (const auto& pair : pairs) {
    if (pair) found.push_back(*pair);
  }
  return found;
}

// The search by shingles while it runs.
class CopySearch {
 public:
  CopySearch(const Across& across, double overlap, int64_t index_bytes,
             const std::function<absl::string_view(int32_t)>& text_of)
      : across_(across),
        overlap_(overlap),
        index_bytes_(index_bytes),
        text_of_(text_of),
        pairs_(across.train.size()) {}

  std::vector<NearPair> Run() {
    const auto count = static_cast<int64_t>(across_.held_out.size());
    for (int64_t first = 0; first < count;) {
      ShingleSets sets = GatherShingles(
          std::span(across_.held_out).subspan(first), index_bytes_, text_of_);
      const int64_t last = first + sets.count();
      LookUp(ShingleIndex(std::move(sets), overlap_), first, last == count);
      first = last;
    }
    return Found(pairs_);
  }

 private:
  // Where nothing was found yet: parts come in the order of the documents.
  void LookUp(const ShingleIndex& index, int64_t first, bool is_last) {
    const auto count = static_cast<int64_t>(across_.train.size());
    ParallelFor(count, kGrain, [&](int64_t begin, int64_t end) {
      ShingleIndex::Lookup lookup(index);
      for (int64_t i = begin; i < end; ++i) {
        if (pairs_[i]) continue;
        const auto match = lookup.First(ShinglesOf(text_of_(across_.train[i])));
        if (match.set < 0) continue;
        pairs_[i] = {.dropped = across_.train[i],
                     .kept = across_.held_out[first + match.set],
                     .overlap = match.overlap};
      }
      if (is_last) across_.on_progress(end - begin);
    });
  }

  const Across& across_;
  const double overlap_;
  const int64_t index_bytes_;
  const std::function<absl::string_view(int32_t)>& text_of_;
  Proposals pairs_;
};

}  // namespace

std::vector<NearPair> FindCopiesAcross(
    const Across& across, double overlap, int64_t index_bytes,
    const std::function<absl::string_view(int32_t)>& text_of) {
  if (across.held_out.empty()) {
    across.on_progress(static_cast<int64_t>(across.train.size()));
  }
  return CopySearch(across, overlap, index_bytes, text_of).Run();
}

std::vector<NearPair> FindSimilarAcross(const Across& across, double similarity,
                                        std::span<const float> vectors,
                                        int32_t dimensions) {
  const RowSet train_rows(vectors, dimensions, across.train);
  const RowSet held_out_rows(vectors, dimensions, across.held_out);
  if (across.held_out.empty()) {
    across.on_progress(static_cast<int64_t>(across.train.size()));
    return {};
  }
  const std::vector<Neighbor> nearest =
      SearchFor(train_rows, held_out_rows, 1, {.metric = Metric::kCosine},
                across.on_progress);
  std::vector<NearPair> found;
  for (size_t i = 0; i < nearest.size(); ++i) {
    const int32_t row = nearest[i].document;
    if (row < 0) continue;
    const double cosine = Cosine(train_rows.Row(static_cast<int64_t>(i)),
                                 held_out_rows.Row(row), dimensions);
    if (cosine < similarity) continue;
    found.push_back({.dropped = across.train[i],
                     .kept = across.held_out[row],
                     .similarity = cosine});
  }
  return found;
}

}  // namespace lory::corpus
