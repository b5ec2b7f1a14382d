#ifndef LORY_COMMON_DATA_SAMPLE_DIGEST_H_
#define LORY_COMMON_DATA_SAMPLE_DIGEST_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/data/sequence_order.h"

// Proof of what was trained. Every rank adds up the fingerprints of the
// sequences it really put through the model; the sums of all ranks go into
// one chain. The chain of a run with faults equals that of a run without, or
// a sample was lost, repeated or replaced.
namespace lory::data {

// Fingerprint of one training of one sequence. Sums of fingerprints are taken
// modulo 2^64, so the order inside a step does not matter, but a sequence that
// is left out or comes twice does.
uint64_t SampleFingerprint(int64_t epoch, int64_t sequence_index);

// The chain before the first step: 32 zero bytes.
std::string InitialDigest();

// digest_s = SHA-256(digest_{s-1} || s || fingerprint sum of step s), numbers
// as 8 little-endian bytes; s counts from 0.
std::string NextDigest(absl::string_view digest, int64_t step,
                       uint64_t fingerprint_sum);

// The sum a faultless step has: `batch_sequences` consecutive positions from
// step x batch_sequences on. Crosses epochs.
uint64_t ExpectedFingerprintSum(uint64_t seed, int64_t sequence_count,
                                int64_t step, int64_t batch_sequences);

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_SAMPLE_DIGEST_H_
