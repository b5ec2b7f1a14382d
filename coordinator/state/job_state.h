#ifndef LORY_COORDINATOR_STATE_JOB_STATE_H_
#define LORY_COORDINATOR_STATE_JOB_STATE_H_

#include <span>

#include "lory/v1/job.pb.h"

// The life of a job. docs/jobs.md has the diagram made from this table.
namespace lory::coordinator {

struct JobTransition {
  lory::v1::Job::State from;
  lory::v1::Job::State to;
  const char* when;  // for the diagram and for people
};

// Every transition there is, in order of `from`.
std::span<const JobTransition> JobTransitions();

bool TransitionAllowed(lory::v1::Job::State from, lory::v1::Job::State to);

// SUCCEEDED, CANCELLED and FAILED: it has ended. A person may resume it from
// the latter two.
bool IsFinal(lory::v1::Job::State state);

// States in which a job has trainers, or is owed them.
bool HoldsSlots(lory::v1::Job::State state);

// Whether the job measures weights, takes no steps and writes no checkpoints.
bool IsEvaluation(const lory::v1::JobSpec& spec);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_STATE_JOB_STATE_H_
