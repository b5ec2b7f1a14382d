#ifndef LORY_COMMON_TEXT_BYTE_PAIR_MODEL_H_
#define LORY_COMMON_TEXT_BYTE_PAIR_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace lory::text {

// A BPE model as data: what training makes and files of tokenizers hold.
struct BytePairModel {
  // What words are made of before anything is joined. Of characters that are no
  // token each byte is one, by its ByteTokenName.
  enum class Unit { kByte, kCharacter };
  Unit unit = Unit::kByte;
  // Of every token, by id, its bytes, or its characters and the names of bytes;
  // empty: a hole in the ids, or a token that words never become.
  std::vector<std::string> tokens;
  // Pairs of ids that are joined, the most urgent first.
  std::vector<std::pair<int32_t, int32_t>> merges;
  // Of each merge, where several are equally urgent; empty: their places.
  std::vector<int32_t> merge_ranks;
  // A word that is a token is that one, whatever its units would become.
  bool ignore_merges = false;
  int32_t end_of_document_id = -1;  // -1: none
  std::string end_of_document;      // text of that token; empty: none
};

// The special token that ends a document, in models made here.
inline constexpr char kEndOfDocument[] = "<|endoftext|>";

// "<0x0A>"
std::string ByteTokenName(uint8_t byte);

// Bytes of the first word of `text`; 0 when it is empty. BPE never joins
// across words. The split, as the regular expression our tokenizer.json holds
// (leftmost, first alternative that matches), with W for [ \t\n\v\f\r], L for
// ASCII letters and everything from U+0080 on:
//
//   '(?:[sdmt]|ll|ve|re) | ?L+ | ?[0-9]{1,3} | ?[^WL0-9]+ | W+(?![^W]) | W+
//
// GPT-2's split, but without Unicode tables: letters of all scripts, and
// bytes that are no UTF-8 at all, count as letters; digits go in threes.
size_t FirstWordBytes(absl::string_view text);

// Text of tokenizer.json in the layout of Hugging Face's tokenizers, of a model
// made here. ParseTokenizerJson is the way back.
std::string SerializeBytePairModel(const BytePairModel& model);

// The order in which a model's 256 byte tokens stand: by the character that
// GPT-2 gave each byte. Hugging Face's trainer numbers them so.
std::vector<uint8_t> ByteAlphabet();

// FirstWordBytes as a regular expression.
extern const char kOwnWords[];

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_BYTE_PAIR_MODEL_H_
