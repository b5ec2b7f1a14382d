#ifndef LORY_TOOLS_VERIFY_JOB_HISTORY_H_
#define LORY_TOOLS_VERIFY_JOB_HISTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lory/internal/v1/journal.pb.h"

// What the journal says of one job, sorted by subject but not judged: the
// auditor must be able to hold what should be impossible.
namespace lory::verify {

// Position of a record in the journal, from 0: tells what came first.
using RecordIndex = int64_t;

struct StateChange {
  RecordIndex at = 0;
  lory::v1::Job::State state = lory::v1::Job::STATE_UNSPECIFIED;
};

struct GenerationOpening {
  RecordIndex at = 0;
  int64_t generation = 0;
};

struct GenerationStart {
  RecordIndex at = 0;
  lory::internal::v1::GenerationStarted event;
};

struct GenerationEnd {
  RecordIndex at = 0;
  int64_t generation = 0;
  bool by_fault = false;
};

struct CheckpointCommit {
  RecordIndex at = 0;
  lory::v1::Checkpoint checkpoint;
};

struct CheckpointChange {
  RecordIndex at = 0;
  int64_t step = 0;
  lory::v1::Checkpoint::State state = lory::v1::Checkpoint::STATE_UNSPECIFIED;
  std::string reason;
};

struct JobHistory {
  std::string name;  // jobs/{job}
  // The generation that its first follows, as the coordinator wrote down when
  // the job was created.
  int64_t generations_before = 0;
  // The last one that a deleted job of this name opened, by the records of that
  // job, at least 1; 0: no other had the name.
  int64_t generations_of_deleted = 0;
  // As created, then as changed by people, in order.
  std::vector<lory::v1::JobSpec> specs;
  lory::v1::Dataset dataset;        // as registered when the job was created
  std::vector<StateChange> states;  // the first one is that of its creation
  std::vector<GenerationOpening> openings;
  std::vector<GenerationStart> starts;
  std::vector<GenerationEnd> ends;
  std::vector<CheckpointCommit> commits;
  std::vector<CheckpointChange> checkpoint_changes;

  const lory::v1::JobSpec& spec() const { return specs.front(); }
  lory::v1::Job::State state() const { return states.back().state; }

  // The start of a generation; null: it never started.
  const GenerationStart* StartOf(int64_t generation) const;

  // Steps before which a line or commit of `generation` counts: the smallest
  // start of a later one. INT64_MAX: it is the newest.
  int64_t FencedFrom(int64_t generation) const;

  // Checkpoints that are COMMITTED at record `at` (default: the end), by step.
  std::map<int64_t, lory::v1::Checkpoint> CommittedAt(
      RecordIndex at = INT64_MAX) const;

  // Started generations that a fault ended.
  int64_t RecoveryCount() const;
};

// Collects the records of `job`, "jobs/tiny" or "tiny". A job deleted and
// created again counts from its newest creation.
//
// NOT_FOUND: the journal has no such job; names those it has.
absl::StatusOr<JobHistory> CollectHistory(
    const std::vector<lory::internal::v1::JournalRecord>& records,
    absl::string_view job);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_JOB_HISTORY_H_
