#ifndef LORY_TOOLS_CORPUS_ACROSS_SPLIT_H_
#define LORY_TOOLS_CORPUS_ACROSS_SPLIT_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/corpus/near_pair.h"

// Documents to train that are near copies of held-out ones. Pure; all cores;
// the same for any number of threads and whatever memory there is.
namespace lory::corpus {

// What both searches are given. References live as long as the call.
struct Across {
  const NearSide& train;
  const NearSide& held_out;
  // On any thread; gets numbers of documents of `train`, all in the end.
  std::function<void(int64_t)> on_progress = [](int64_t) {};
};

// Those that share at least `overlap` (above 0) of their shingles with a
// held-out document, each with the first of these; vectors are not asked, so
// that none is overlooked where they see nothing. As exact as a double loop:
// shingles of each document are looked up in an index of the held-out ones',
// which takes `index_bytes` at most, or as much as one document needs. What
// does not fit is taken in parts, for each of which `train` is read again.
// Similarities are left 0. `text_of` may be called on any thread.
std::vector<NearPair> FindCopiesAcross(
    const Across& across, double overlap, int64_t index_bytes,
    const std::function<absl::string_view(int32_t)>& text_of);

// Those whose most similar held-out document has at least that cosine, with
// it; overlaps are left 0.
std::vector<NearPair> FindSimilarAcross(const Across& across, double similarity,
                                        std::span<const float> vectors,
                                        int32_t dimensions);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ACROSS_SPLIT_H_
