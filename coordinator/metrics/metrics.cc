#include "coordinator/metrics/metrics.h"

#include <array>
#include <map>

#include "absl/strings/str_cat.h"
#include "coordinator/state/job_events.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;
using ::lory::v1::Worker;

constexpr char kJobState[] = "lory_coordinator_job_state";
constexpr char kJobGeneration[] = "lory_coordinator_job_generation";
constexpr char kJobStep[] = "lory_coordinator_job_step";
constexpr char kJobMembers[] = "lory_coordinator_job_members";
constexpr char kJobCheckpointStep[] = "lory_coordinator_job_checkpoint_step";
constexpr char kJobVerifiedStep[] =
    "lory_coordinator_job_sample_order_verified_step";
constexpr char kJobMismatches[] =
    "lory_coordinator_job_sample_order_mismatches";
constexpr char kWorkersByState[] = "lory_coordinator_workers";
constexpr char kRecoveries[] = "lory_coordinator_recoveries_total";
constexpr char kRecoverySeconds[] = "lory_coordinator_recovery_seconds";
constexpr char kCheckpoints[] = "lory_coordinator_checkpoints_committed_total";
constexpr char kCalls[] = "lory_coordinator_rpc_requests_total";
constexpr char kAppendSeconds[] = "lory_coordinator_journal_append_seconds";
constexpr char kJournalRecords[] = "lory_coordinator_journal_records";

const char* CodeName(grpc::StatusCode code) {
  constexpr std::array<const char*, 17> kNames = {"OK",
                                                  "CANCELLED",
                                                  "UNKNOWN",
                                                  "INVALID_ARGUMENT",
                                                  "DEADLINE_EXCEEDED",
                                                  "NOT_FOUND",
                                                  "ALREADY_EXISTS",
                                                  "PERMISSION_DENIED",
                                                  "RESOURCE_EXHAUSTED",
                                                  "FAILED_PRECONDITION",
                                                  "ABORTED",
                                                  "OUT_OF_RANGE",
                                                  "UNIMPLEMENTED",
                                                  "INTERNAL",
                                                  "UNAVAILABLE",
                                                  "DATA_LOSS",
                                                  "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

}  // namespace

CoordinatorMetrics::CoordinatorMetrics() {
  registry_.DeclareGauge(kJobState,
                         "1 for the state a job is in, 0 for the others");
  registry_.DeclareGauge(kJobGeneration, "Newest generation of a job");
  registry_.DeclareGauge(kJobStep, "Optimizer steps a job has applied");
  registry_.DeclareGauge(kJobMembers, "Members of a job's newest generation");
  registry_.DeclareGauge(kJobCheckpointStep,
                         "Step of a job's newest committed checkpoint, or -1");
  registry_.DeclareGauge(
      kJobVerifiedStep,
      "Steps of a job that are proved to have trained their samples once each");
  registry_.DeclareGauge(
      kJobMismatches,
      "Comparisons since the start in which a job had trained other samples "
      "than it should have");
  registry_.DeclareGauge(kWorkersByState, "Workers by state");
  registry_.DeclareCounter(kRecoveries,
                           "Generations ended by a fault, by its cause");
  registry_.DeclareHistogram(
      kRecoverySeconds, "Seconds from a fault to the next applied step",
      {0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300});
  registry_.DeclareCounter(kCheckpoints, "Checkpoints committed");
  registry_.DeclareCounter(kCalls, "Calls answered, by method and code");
  registry_.DeclareHistogram(
      kAppendSeconds, "Seconds to append to the journal and sync it",
      {0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5});
  registry_.DeclareGauge(kJournalRecords, "Records in the journal");
  for (const char* cause :
       {"exit", "silence", "collective", "prepare", "checkpoint", "other"}) {
    registry_.Add(kRecoveries, {{"cause", cause}}, 0);
  }
  registry_.Add(kCheckpoints, {}, 0);
}

void CoordinatorMetrics::Appended(absl::Duration took,
                                  std::span<const Journal::Record> records) {
  registry_.Observe(kAppendSeconds, {}, absl::ToDoubleSeconds(took));
  for (const Journal::Record& record : records) {
    NoteRecovery(record);
    if (record.has_generation_ended() && record.generation_ended().by_fault()) {
      registry_.Add(kRecoveries,
                    {{"cause", CauseName(record.generation_ended().cause())}});
    } else if (record.has_checkpoint_committed()) {
      registry_.Add(kCheckpoints, {});
    } else if (record.has_job_deleted()) {
      registry_.RemoveMatching(
          {{"job", std::string(IdOf(record.job_deleted().job()))}});
    }
  }
}

void CoordinatorMetrics::NoteRecovery(const Journal::Record& record) {
  const absl::Time time = TimeOf(record.time());
  if (record.has_generation_ended() && record.generation_ended().by_fault()) {
    faults_.emplace(record.generation_ended().job(), time);
  }
  if (!record.has_job_state_changed()) return;
  const auto fault = faults_.find(record.job_state_changed().job());
  if (fault == faults_.end()) return;
  const Job::State state = record.job_state_changed().state();
  if (state == Job::RECOVERING) return;
  if (state == Job::RUNNING) {
    registry_.Observe(kRecoverySeconds, {},
                      absl::ToDoubleSeconds(time - fault->second));
  }
  faults_.erase(fault);
}

void CoordinatorMetrics::Answered(absl::string_view method,
                                  grpc::StatusCode code) {
  registry_.Add(kCalls,
                {{"method", std::string(method)}, {"code", CodeName(code)}});
}

void CoordinatorMetrics::SetJob(const Job& job) {
  const std::string id(IdOf(job.name()));
  for (int state = Job::QUEUED; state <= Job::FAILED; ++state) {
    registry_.Set(kJobState,
                  {{"job", id},
                   {"state", Job::State_Name(static_cast<Job::State>(state))}},
                  job.state() == state ? 1 : 0);
  }
  const metrics::Labels labels = {{"job", id}};
  registry_.Set(kJobGeneration, labels, static_cast<double>(job.generation()));
  registry_.Set(kJobStep, labels, static_cast<double>(job.progress().step()));
  registry_.Set(kJobMembers, labels, job.members_size());
  registry_.Set(kJobCheckpointStep, labels,
                static_cast<double>(job.checkpoint_step()));
}

std::string CoordinatorMetrics::Serialize(const Snapshot& snapshot) {
  for (const Job& job : snapshot.jobs) SetJob(job);
  for (const auto& [job, order] : snapshot.sample_orders) {
    const metrics::Labels labels = {{"job", std::string(IdOf(job))}};
    registry_.Set(kJobVerifiedStep, labels,
                  static_cast<double>(order.verified_step()));
    registry_.Set(kJobMismatches, labels,
                  static_cast<double>(order.mismatch_count()));
  }
  std::map<Worker::State, int> counts;
  for (const Worker& worker : snapshot.workers) ++counts[worker.state()];
  for (int state = Worker::READY; state <= Worker::LOST; ++state) {
    const auto value = static_cast<Worker::State>(state);
    registry_.Set(kWorkersByState, {{"state", Worker::State_Name(value)}},
                  counts[value]);
  }
  registry_.Set(kJournalRecords, {},
                static_cast<double>(snapshot.journal_records));
  return registry_.Serialize();
}

}  // namespace lory::coordinator
