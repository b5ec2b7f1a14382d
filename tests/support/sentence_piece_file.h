#ifndef LORY_TESTS_SUPPORT_SENTENCE_PIECE_FILE_H_
#define LORY_TESTS_SUPPORT_SENTENCE_PIECE_FILE_H_

#include <cstdint>
#include <cstring>
#include <string>

#include "common/text/byte_pair_model.h"

// Files of SentencePiece models, made by hand: fields in protobuf's wire format
// by the numbers of sentencepiece_model.proto.
namespace lory::testing {

// SentencePiece.Type of that file.
enum class PieceType {
  kNormal = 1,
  kUnknown,
  kControl,
  kUserDefined,
  kUnused,
  kByte,
};

inline std::string Varint(uint64_t number) {
  std::string bytes;
  for (; number >= 0x80; number >>= 7) {
    bytes += static_cast<char>(number | 0x80);
  }
  return bytes + static_cast<char>(number);
}

inline std::string NumberField(int field, uint64_t number) {
  return Varint(static_cast<uint64_t>(field) << 3) + Varint(number);
}

inline std::string BytesField(int field, const std::string& bytes) {
  return Varint(static_cast<uint64_t>(field) << 3 | 2) + Varint(bytes.size()) +
         bytes;
}

inline std::string PieceField(const std::string& text, float score,
                              PieceType type) {
  char image[sizeof(score)];
  std::memcpy(image, &score, sizeof(score));
  return BytesField(1, BytesField(1, text) + Varint(2 << 3 | 5) +
                           std::string(image, sizeof(image)) +
                           NumberField(3, static_cast<uint64_t>(type)));
}

// A tokenizer.model of 267 pieces, as SentencePiece would write it.
struct SentencePieceFile {
  // <unk> <s> </s>, the bytes, then these from 259 on.
  std::string pieces = PieceField("\u2581", -1, PieceType::kNormal) +
                       PieceField("a", -2, PieceType::kNormal) +
                       PieceField("b", -3, PieceType::kNormal) +
                       PieceField("c", -4, PieceType::kNormal) +
                       PieceField("bc", -5, PieceType::kNormal) +
                       PieceField("ab", -6, PieceType::kNormal) +
                       PieceField("\u2581a", -6, PieceType::kNormal) +
                       PieceField("<t>", 0, PieceType::kUserDefined);
  int model_type = 2;
  bool byte_fallback = true;
  bool remove_extra_whitespaces = false;
  bool add_dummy_prefix = true;
  std::string charsmap;
  std::string more;

  std::string Bytes() const {
    std::string bytes = PieceField("<unk>", 0, PieceType::kUnknown) +
                        PieceField("<s>", 0, PieceType::kControl) +
                        PieceField("</s>", 0, PieceType::kControl);
    for (int byte = 0; byte < 256; ++byte) {
      bytes += PieceField(text::ByteTokenName(static_cast<uint8_t>(byte)), 0,
                          PieceType::kByte);
    }
    return bytes + pieces +
           BytesField(
               2, NumberField(3, model_type) + NumberField(35, byte_fallback)) +
           BytesField(3, BytesField(2, charsmap) +
                             NumberField(3, add_dummy_prefix) +
                             NumberField(4, remove_extra_whitespaces)) +
           more;
  }
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_SENTENCE_PIECE_FILE_H_
