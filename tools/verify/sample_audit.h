#ifndef LORY_TOOLS_VERIFY_SAMPLE_AUDIT_H_
#define LORY_TOOLS_VERIFY_SAMPLE_AUDIT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/verify/job_history.h"
#include "tools/verify/report.h"
#include "tools/verify/trace_reader.h"

// Holds what the ranks wrote down against what seed and dataset demand. Pure.
namespace lory::verify {

// The grid of samples a job trains: step x micro-batch x sequence.
struct SampleGrid {
  uint64_t seed = 0;
  int64_t sequence_count = 0;  // of the dataset
  int64_t step_count = 0;
  int64_t micro_batches = 0;  // of a step
  int64_t micro_batch_sequences = 0;

  int64_t StepSequences() const {
    return micro_batches * micro_batch_sequences;
  }
  // Fingerprints of the sequences of micro-batches [first, first + count).
  std::vector<uint64_t> Fingerprints(int64_t step, int64_t first,
                                     int64_t count) const;
};

// INVALID_ARGUMENT: the spec or the dataset's record has no usable size.
absl::StatusOr<SampleGrid> GridOf(const JobHistory& history);

// Samples of one rank's share against the sum of what it trained.
struct ShareDifference {
  int64_t lost = 0;
  int64_t repeated = 0;
  std::string how;  // "sample 3 is missing"
};

// Finds the smallest difference that explains `sum`: one sample missing,
// repeated, or one in place of another; otherwise the whole share counts as
// lost, for nothing shows that any of it was trained.
ShareDifference ExplainSum(const std::vector<uint64_t>& fingerprints,
                           uint64_t sum);

struct SampleAudit {
  std::vector<Verdict> verdicts;
  int64_t lost = 0;
  int64_t repeated = 0;
  int64_t steps = 0;  // that count
  // The fault-free chain after so many steps; index 0: before the first.
  std::vector<std::string> chain;
};

// The invariants of the trace. `history` decides which lines count.
SampleAudit AuditSamples(const JobHistory& history, const SampleGrid& grid,
                         const Trace& trace);

// The digest of every checkpoint ever committed is that of `chain`, and its
// generation was not fenced off before.
Verdict CheckCheckpointDigests(const JobHistory& history,
                               const std::vector<std::string>& chain);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_SAMPLE_AUDIT_H_
