#ifndef LORY_COMMON_DATA_SEQUENCE_ORDER_H_
#define LORY_COMMON_DATA_SEQUENCE_ORDER_H_

#include <array>
#include <cstdint>

// The order in which an epoch trains its sequences: a pure function of
// (seed, epoch), computed anywhere in constant memory.
namespace lory::data {

// A keyed permutation of [0, count): a balanced Feistel network over the next
// even number of bits, walked along its cycle until it lands in range (Black
// and Rogaway, CT-RSA 2002). Immutable; thread-safe.
class SequenceOrder {
 public:
  // count > 0.
  SequenceOrder(uint64_t seed, int64_t epoch, int64_t count);

  // Index of the sequence at `position` in the order; 0 <= position < count.
  int64_t At(int64_t position) const;

  int64_t count() const { return count_; }

 private:
  static constexpr int kRounds = 6;

  uint64_t Encrypt(uint64_t value) const;

  int64_t count_;
  int half_bits_;  // bits of one half of the Feistel block
  std::array<uint64_t, kRounds> keys_;
};

// Where a job stands in its data: position = step x batch + offset runs on
// through the epochs.
struct SequencePosition {
  int64_t epoch = 0;
  int64_t position = 0;  // inside the epoch
};

// `global` = step x sequences a step + offset. An epoch has
// `sequences_per_epoch` positions; a step may cross its end.
SequencePosition PositionOf(int64_t global, int64_t sequences_per_epoch);

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_SEQUENCE_ORDER_H_
