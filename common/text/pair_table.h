#ifndef LORY_COMMON_TEXT_PAIR_TABLE_H_
#define LORY_COMMON_TEXT_PAIR_TABLE_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace lory::text {

// Which two tokens side by side are joined to a third, and how urgently.
// Thread-safe once it is filled.
class PairTable {
 public:
  struct Merge {
    int32_t rank = 0;  // the smallest first, of equal ones the leftmost
    int32_t id = 0;
  };

  // Of a pair that comes twice the last counts.
  void Add(int32_t left, int32_t right, Merge merge);

  // Joins the most urgent pair until none is left.
  void Join(std::vector<int32_t>* ids) const;

 private:
  const Merge* Find(int32_t left, int32_t right) const;
  void JoinShort(std::vector<int32_t>* ids) const;
  void JoinLong(std::vector<int32_t>* ids) const;

  absl::flat_hash_map<uint64_t, Merge> merges_;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_PAIR_TABLE_H_
