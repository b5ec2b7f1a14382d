#ifndef LORY_COMMON_CONFIG_JOB_VALIDATION_H_
#define LORY_COMMON_CONFIG_JOB_VALIDATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/base/error_detail.h"
#include "lory/v1/job.pb.h"

// Whether a JobSpec can be trained, and what its silence means. Pure: used by
// the coordinator to refuse a job and by `loryctl --dry-run` to do so sooner.
namespace lory::config {

// Whether its kind is one that begins from a checkpoint, always.
bool NeedsWeights(const lory::v1::JobSpec& spec);

// Every field of `spec` that is not as it must be, with paths such as
// spec.model.segment_length. Empty: the spec is good.
std::vector<FieldViolation> FindJobViolations(const lory::v1::JobSpec& spec);

// OK, or INVALID_ARGUMENT with the violations.
//
// UNIMPLEMENTED, NUMERICS_UNIMPLEMENTED: EXACT numerics, of a later release.
absl::Status ValidateJobSpec(const lory::v1::JobSpec& spec);

// `spec`, which must be valid, with every default written out.
lory::v1::JobSpec FillDefaults(lory::v1::JobSpec spec);

// Whether the model fits the data.
//
// FAILED_PRECONDITION, DATASET_MISMATCH: another vocabulary or length.
absl::Status CheckAgainstDataset(const lory::v1::JobSpec& spec,
                                 int64_t vocabulary_size,
                                 int64_t sequence_length);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_JOB_VALIDATION_H_
