#ifndef LORY_COMMON_TEXT_BYTE_PAIR_MODEL_H_
#define LORY_COMMON_TEXT_BYTE_PAIR_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// A byte-level BPE model as data: what training makes and tokenizer.json holds.
struct BytePairModel {
  // Bytes of every token, by id; empty: a hole in the ids, or a special token.
  std::vector<std::string> tokens;
  // Pairs of ids that are joined, the most urgent first.
  std::vector<std::pair<int32_t, int32_t>> merges;
  int32_t end_of_document_id = -1;  // -1: none
};

// The special token that ends a document, in models made here.
inline constexpr char kEndOfDocument[] = "<|endoftext|>";

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

// Text of tokenizer.json in the layout of Hugging Face's tokenizers, and back.
//
// ParseBytePairModel: INVALID_ARGUMENT names what is wrong, or what the file
// asks for that is not supported.
std::string SerializeBytePairModel(const BytePairModel& model);
absl::StatusOr<BytePairModel> ParseBytePairModel(absl::string_view json);

// The order in which a model's 256 byte tokens stand: by the character that
// GPT-2 gave each byte. Hugging Face's trainer numbers them so.
std::vector<uint8_t> ByteAlphabet();

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_BYTE_PAIR_MODEL_H_
