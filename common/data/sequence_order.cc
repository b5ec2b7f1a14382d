#include "common/data/sequence_order.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"
#include "common/base/random.h"

namespace lory::data {

SequenceOrder::SequenceOrder(uint64_t seed, int64_t epoch, int64_t count)
    : count_(count) {
  LORY_CHECK(count > 0);
  const int bits = std::bit_width(static_cast<uint64_t>(count - 1));
  half_bits_ = std::max(1, (bits + 1) / 2);
  // Mixed in turn, so that (seed 1, epoch 2) is not (seed 2, epoch 1).
  Random random(Mix64(seed) + static_cast<uint64_t>(epoch));
  for (uint64_t& key : keys_) key = random.Next();
}

int64_t SequenceOrder::At(int64_t position) const {
  LORY_CHECK(position >= 0 && position < count_);
  // The block has fewer than 4 x count values, so a walk is short: four steps
  // on average at worst. It ends, because the cycle of `position` holds it.
  uint64_t value = static_cast<uint64_t>(position);
  do {
    value = Encrypt(value);
  } while (value >= static_cast<uint64_t>(count_));
  return static_cast<int64_t>(value);
}

uint64_t SequenceOrder::Encrypt(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (const uint64_t key : keys_) {
    const uint64_t next = left ^ (Mix64(right ^ key) & mask);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

SequencePosition PositionOf(int64_t global, int64_t sequences_per_epoch) {
  LORY_CHECK(global >= 0 && sequences_per_epoch > 0);
  return {global / sequences_per_epoch, global % sequences_per_epoch};
}

}  // namespace lory::data
