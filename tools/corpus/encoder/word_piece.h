#ifndef LORY_TOOLS_CORPUS_ENCODER_WORD_PIECE_H_
#define LORY_TOOLS_CORPUS_ENCODER_WORD_PIECE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::corpus {

// How text is cut into words before they are looked up: BertNormalizer of
// Hugging Face's tokenizers.
struct BertCleaning {
  bool clean_text = true;         // controls out, any white space a space
  bool spaced_ideographs = true;  // each one a word
  bool lower_case = true;
  bool strip_accents = true;
};

// A word list and the rules around it.
struct WordList {
  absl::flat_hash_map<std::string, int32_t> ids;
  // Text that is a token by itself wherever it stands, such as "[SEP]".
  std::vector<std::pair<std::string, int32_t>> whole;
  std::string continuation = "##";
  size_t longest_word = 100;  // code points
  int32_t unknown = 0;
  int32_t begin = 0;  // [CLS]
  int32_t end = 0;    // [SEP]
};

// BERT's tokenizer, as Hugging Face's BertTokenizer does it: cleaned, cut at
// white space and marks, then the longest pieces of the list that fit.
//
// Equal token for token to `tokenizers` but for characters that Unicode took
// in, or put into another class, after its version 8, whose tables that library
// has in part: it keeps newer format characters and accents, and does not cut
// at newer marks.
//
// Immutable; thread-safe.
class WordPiece {
 public:
  // From tokenizer.json in `folder`, or vocab.txt with what
  // tokenizer_config.json says. NOT_FOUND, INVALID_ARGUMENT: names the file
  // and what is wrong with it.
  static absl::StatusOr<WordPiece> Load(const std::string& folder);

  WordPiece(WordList list, BertCleaning cleaning)
      : list_(std::move(list)), cleaning_(cleaning) {}

  // The tokens of `text` without begin and end; stops with the word that
  // brings them to `limit` or more, and looks at no more of the text than
  // that takes, some KiB at a time. Memory: that of the tokens and of a part.
  std::vector<int32_t> Encode(absl::string_view text, size_t limit) const;

  const WordList& list() const { return list_; }
  const BertCleaning& cleaning() const { return cleaning_; }
  int32_t HighestId() const;

 private:
  using Whole = std::pair<std::string, int32_t>;

  // The longest of list_.whole that begin first within `bytes` of `text`, which
  // become those before it; null: there is none.
  const Whole* FirstWhole(absl::string_view text, size_t* bytes) const;
  std::u32string Clean(absl::string_view text) const;
  // `open` is the word that has not ended yet: no more of it than tells that it
  // is too long.
  void AddWords(std::u32string_view text, size_t limit, std::u32string* open,
                std::vector<int32_t>* ids) const;
  void EndWord(std::u32string* open, std::vector<int32_t>* ids) const;
  void AddWord(std::u32string_view word, std::vector<int32_t>* ids) const;

  WordList list_;
  BertCleaning cleaning_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ENCODER_WORD_PIECE_H_
