#include "common/data/sample_digest.h"

#include <optional>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/random.h"

namespace lory::data {
namespace {

// Keeps fingerprints apart from other uses of the same mixing function.
constexpr uint64_t kDomain = 0x6c6f72792d736571u;  // "lory-seq"

void AppendLittleEndian(uint64_t value, std::string* bytes) {
  for (int i = 0; i < 8; ++i) {
    bytes->push_back(static_cast<char>(value >> (8 * i)));
  }
}

}  // namespace

uint64_t SampleFingerprint(int64_t epoch, int64_t sequence_index) {
  // Two rounds: sums of fingerprints must not cancel between neighbours.
  const uint64_t key = Mix64(kDomain + static_cast<uint64_t>(epoch));
  return Mix64(Mix64(key ^ static_cast<uint64_t>(sequence_index)) + kDomain);
}

std::string InitialDigest() { return std::string(32, '\0'); }

std::string NextDigest(absl::string_view digest, int64_t step,
                       uint64_t fingerprint_sum) {
  std::string bytes(digest);
  AppendLittleEndian(static_cast<uint64_t>(step), &bytes);
  AppendLittleEndian(fingerprint_sum, &bytes);
  return Sha256Bytes(bytes);
}

uint64_t ExpectedFingerprintSum(uint64_t seed, int64_t sequence_count,
                                int64_t step, int64_t batch_sequences) {
  LORY_CHECK(step >= 0 && batch_sequences >= 0);
  uint64_t sum = 0;
  std::optional<SequenceOrder> order;
  int64_t epoch = -1;
  for (int64_t i = 0; i < batch_sequences; ++i) {
    const SequencePosition place =
        PositionOf(step * batch_sequences + i, sequence_count);
    if (place.epoch != epoch) {
      epoch = place.epoch;
      order.emplace(seed, epoch, sequence_count);
    }
    sum += SampleFingerprint(epoch, order->At(place.position));
  }
  return sum;
}

}  // namespace lory::data
