#ifndef LORY_TESTS_SUPPORT_FAKE_TRAINER_FAKE_MODEL_H_
#define LORY_TESTS_SUPPORT_FAKE_TRAINER_FAKE_MODEL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "lory/v1/worker.pb.h"

// A model without numbers: its whole state is the chain over the samples it
// was trained on. If the right samples were trained in the right order, the
// state is right; nothing else can be wrong with it.
namespace lory::testing {

struct FakeState {
  int64_t step = 0;    // steps applied
  std::string digest;  // chain over the samples; 32 bytes

  static FakeState FromSeed();
  // Hash over all of it.
  std::string Digest() const;
  std::string Serialize() const;
  static absl::StatusOr<FakeState> Parse(const std::string& text);
};

// Sum of the fingerprints of what a rank with `shares` trains in `step`.
uint64_t FingerprintSum(const lory::v1::JobSpec& spec, int64_t sequence_count,
                        int64_t step, int rank, const lory::v1::Round& round);

// Writes rank's part of the state's checkpoint, reads it back, and says what
// is to be committed.
absl::StatusOr<lory::v1::CommitCheckpointRequest> WritePart(
    const FakeState& state, const lory::v1::Assignment& assignment);

// Reads the state back from a committed checkpoint.
absl::StatusOr<FakeState> Restore(const lory::v1::Assignment& assignment);

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FAKE_TRAINER_FAKE_MODEL_H_
