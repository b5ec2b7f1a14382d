#ifndef LORY_COMMON_TEXT_BYTE_PAIR_TOKENIZER_H_
#define LORY_COMMON_TEXT_BYTE_PAIR_TOKENIZER_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/text/byte_pair_model.h"
#include "common/text/tokenizer.h"

namespace lory::text {

// Encodes with a byte-level BPE model: in every word the most urgent pair is
// joined, the leftmost first, until none is left. Immutable; thread-safe.
class BytePairTokenizer final : public Tokenizer {
 public:
  // `model` must be as ParseBytePairModel or training makes it: a token for
  // every byte, merges between tokens.
  explicit BytePairTokenizer(BytePairModel model);

  int64_t vocabulary_size() const override {
    return static_cast<int64_t>(model_.tokens.size());
  }
  int32_t end_of_document_id() const override {
    return model_.end_of_document_id;
  }
  std::vector<int32_t> Encode(absl::string_view text) const override;
  std::string Decode(const std::vector<int32_t>& ids) const override;

  const BytePairModel& model() const { return model_; }

 private:
  struct Merge {
    int32_t rank = 0;
    int32_t id = 0;
  };

  const Merge* FindMerge(int32_t left, int32_t right) const;
  void EncodeWord(absl::string_view word, std::vector<int32_t>* ids) const;
  void JoinShort(std::vector<int32_t>* ids) const;
  void JoinLong(std::vector<int32_t>* ids) const;

  BytePairModel model_;
  std::array<int32_t, 256> byte_ids_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
  // Words that end up as one token: most words of most texts.
  absl::flat_hash_map<std::string, int32_t> whole_words_;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_BYTE_PAIR_TOKENIZER_H_
