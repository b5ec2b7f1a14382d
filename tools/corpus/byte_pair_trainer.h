#ifndef LORY_TOOLS_CORPUS_BYTE_PAIR_TRAINER_H_
#define LORY_TOOLS_CORPUS_BYTE_PAIR_TRAINER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/text/byte_pair_model.h"

namespace lory::corpus {

// How often each word (text::FirstWordBytes) was seen.
using WordCounts = absl::flat_hash_map<std::string, int64_t>;

// Adds the words of `text`.
void CountWords(absl::string_view text, WordCounts* counts);

// Pairs seen less often are not joined.
inline constexpr int64_t kMinPairCount = 2;

// Trains byte-level BPE (Sennrich and others, ACL 2016): joins the most
// frequent pair of neighbouring tokens, over and over, until the vocabulary
// has `vocabulary_size` tokens or no pair is frequent enough. Token 0 ends
// documents, 1 to 256 are the bytes. Of equally frequent pairs the one with
// the smaller ids goes first, as in Hugging Face's trainer, so both make the
// same model. `on_merge` is called after every join.
text::BytePairModel TrainBytePairs(
    const WordCounts& counts, int64_t vocabulary_size,
    const std::function<void()>& on_merge = [] {});

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_BYTE_PAIR_TRAINER_H_
