#ifndef LORY_COMMON_DATA_SHARD_LAYOUT_H_
#define LORY_COMMON_DATA_SHARD_LAYOUT_H_

#include <array>
#include <cstdint>

// Bytes of the .idx file, little-endian, as Megatron-LM's indexed_dataset.py
// reads them:
//
//   9 bytes  magic
//   u64      version
//   u8       type of a token
//   u64      S, number of sequences
//   u64      D, number of document marks: S + 1, for each of our sequences is
//            a document of its own to Megatron
//   i32 x S  tokens of each sequence
//   i64 x S  offset of each sequence in the .bin, in bytes
//   i64 x D  0, 1, ..., S
namespace lory::data {

inline constexpr std::array<char, 9> kShardMagic = {'M', 'M', 'I', 'D', 'I',
                                                    'D', 'X', 0,   0};
inline constexpr uint64_t kShardVersion = 1;
inline constexpr int64_t kShardHeaderBytes = 9 + 8 + 1 + 8 + 8;

// Megatron's codes of the two types we use.
inline constexpr uint8_t kInt32Code = 4;
inline constexpr uint8_t kUint16Code = 8;

// Ids below this fit uint16.
inline constexpr int64_t kUint16Vocabulary = 65536;

inline constexpr int64_t TokenBytes(uint8_t code) {
  return code == kUint16Code ? 2 : 4;
}
inline constexpr int64_t IndexBytes(int64_t sequences) {
  return kShardHeaderBytes + sequences * (4 + 8 + 8) + 8;
}

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_SHARD_LAYOUT_H_
