#ifndef LORY_COMMON_TEXT_BYTE_PAIR_TOKENIZER_H_
#define LORY_COMMON_TEXT_BYTE_PAIR_TOKENIZER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/text/added_tokens.h"
#include "common/text/byte_pair_model.h"
#include "common/text/normalizer.h"
#include "common/text/pair_table.h"
#include "common/text/pre_tokenizer.h"
#include "common/text/sentence_normalizer.h"
#include "common/text/tokenizer.h"

namespace lory::text {

// What a BPE tokenizer is made of, whatever file it comes from.
struct BytePairParts {
  BytePairModel model;
  struct Added {
    AddedTokens::Token token;
    bool in_normalized = false;  // looked for in the normalized text
  };
  std::vector<Added> added;
  // Tokens that words never become, by their text.
  absl::flat_hash_map<std::string, int32_t> specials;
  TextMarks marks;
  Normalizer normalizer;
  // Instead of it, and all added tokens are looked for behind it.
  std::optional<SentenceNormalizer> sentence_normalizer;
  // None: the words of this project, FirstWordBytes.
  std::optional<PreTokenizer> pre_tokenizer;
  // Of the text of tokens.
  bool marks_are_spaces = false;   // kSpaceMark
  bool drops_first_space = false;  // that encoding put before the text
};

// Encodes with a BPE model: in every word the most urgent pair is joined, the
// leftmost first, until none is left. Immutable; thread-safe.
class BytePairTokenizer final : public Tokenizer {
 public:
  // `model` must be as ParseTokenizerJson or training makes it: a token for
  // every byte, merges between tokens.
  explicit BytePairTokenizer(BytePairModel model);
  explicit BytePairTokenizer(BytePairParts parts);

  int64_t vocabulary_size() const override {
    return static_cast<int64_t>(texts_.size());
  }
  bool HasToken(int32_t id) const override;
  int32_t end_of_document_id() const override {
    return parts_.model.end_of_document_id;
  }
  std::string end_of_document() const override {
    return parts_.model.end_of_document;
  }
  TextMarks marks() const override { return parts_.marks; }
  std::string begin_of_text() const override;
  int32_t SpecialId(absl::string_view text) const override;
  std::vector<int32_t> Encode(absl::string_view text) const override;
  std::string Decode(const std::vector<int32_t>& ids) const override;
  std::string TokenText(int32_t id) const override;
  int64_t given_up() const override;

  const BytePairModel& model() const { return parts_.model; }

 private:
  void ReadTokens();
  void ReadAdded();
  void ReadWholeWords();

  void EncodeOwnWords(absl::string_view text, std::vector<int32_t>* ids) const;
  void EncodeUtf8(absl::string_view text, Before before,
                  std::vector<int32_t>* ids) const;
  void EncodePiece(absl::string_view text, Before before,
                   std::vector<int32_t>* ids) const;
  void EncodeWord(absl::string_view word, std::vector<int32_t>* ids) const;
  void EncodePart(absl::string_view part, std::vector<int32_t>* ids) const;
  void JoinPart(absl::string_view part, std::vector<int32_t>* ids) const;
  void AppendUnits(absl::string_view part, std::vector<int32_t>* ids) const;

  BytePairParts parts_;
  std::vector<std::string> texts_;  // of every token, inside a text
  std::array<int32_t, 256> byte_ids_;
  // Tokens of one character, where words are made of these.
  absl::flat_hash_map<std::string, int32_t> characters_;
  PairTable pairs_;
  // Words that end up as one token: most words of most texts.
  absl::flat_hash_map<std::string, int32_t> whole_words_;
  AddedTokens added_to_text_;
  AddedTokens added_to_normalized_;
  // No token has a kSpaceMark behind another character, so that words can be
  // cut there.
  bool marks_begin_tokens_ = false;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_BYTE_PAIR_TOKENIZER_H_
