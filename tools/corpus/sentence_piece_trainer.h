#ifndef LORY_TOOLS_CORPUS_SENTENCE_PIECE_TRAINER_H_
#define LORY_TOOLS_CORPUS_SENTENCE_PIECE_TRAINER_H_

#include <cstdint>
#include <string>
#include <vector>

// The one place that includes SentencePiece. Its headers have a string_view of
// their own under the name of Abseil's, so this one has neither.
namespace lory::corpus {

// Trains a SentencePiece model, BPE with the settings of LLaMA's (byte
// fallback, digits one by one, no normalization, spaces kept), on sentences,
// which are best no longer than kMostSentenceBytes. The same bytes for the same
// sentences. Fewer pieces than asked for where there are no more pairs to
// join. Returns a tokenizer.model; on error nothing, and why in `error`.
std::string TrainSentencePieces(const std::vector<std::string>& sentences,
                                int64_t vocabulary_size, std::string* error);

// Longer sentences would be left out.
inline constexpr size_t kMostSentenceBytes = 4096;

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_SENTENCE_PIECE_TRAINER_H_
