#include <utility>
#include <vector>

#include "common/base/log.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/sample_order_check.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

// The coordinator's own look at which samples a job trains.
namespace lory::coordinator {
namespace {

// Samples whose place in the order is computed at a look, over all jobs: a few
// milliseconds. Far above what jobs train meanwhile; what a restart left to
// catch up with takes its time.
constexpr int64_t kSamplesPerLook = 50'000;

// The newest that is said of `job`: by its trainers, or in the journal.
SampleOrderCheck::Claim NewestClaim(const JobState& job, const JobRun* run) {
  SampleOrderCheck::Claim claim;
  if (const lory::v1::Checkpoint* newest = job.NewestCheckpoint()) {
    claim = {newest->step(), newest->sample_digest()};
  }
  if (run != nullptr && run->progress.step() > claim.step) {
    claim = {run->progress.step(), run->progress.sample_digest()};
  }
  return claim;
}

}  // namespace

void Coordinator::TakeSampleClaims() {
  for (const auto& [name, job] : state_.jobs) {
    const auto dataset = state_.datasets.find(job.spec.dataset());
    const int64_t batch = int64_t{job.spec.micro_batch_count()} *
                          job.spec.micro_batch_sequences();
    if (dataset == state_.datasets.end() || batch <= 0 ||
        dataset->second.sequence_count() <= 0) {
      continue;
    }
    // The name of the data that an ended job trained on is another's by now.
    if (dataset->second.manifest_sha256() != job.dataset_sha256) continue;
    const auto check =
        sample_orders_
            .try_emplace(name, static_cast<uint64_t>(job.spec.seed()),
                         dataset->second.sequence_count(), batch)
            .first;
    check->second.Take(NewestClaim(job, sessions_.FindRun(name)));
  }
}

void Coordinator::CheckSampleOrders() {
  // Those that train first, then those that ended.
  std::vector<std::pair<std::string, SampleOrderCheck>> checks, ended;
  {
    MutexLock lock(&mutex_);
    TakeSampleClaims();
    for (const auto& [name, check] : sample_orders_) {
      const JobState* job = state_.FindJob(name);
      const bool has_ended = job == nullptr || IsFinal(job->state);
      (has_ended ? ended : checks).emplace_back(name, check);
    }
  }
  checks.insert(checks.end(), ended.begin(), ended.end());
  int64_t budget = kSamplesPerLook;
  for (auto& [name, check] : checks) {
    const int64_t wrong = check.mismatch_count();
    if (budget > 0) budget -= check.Work(budget);
    if (check.mismatch_count() > wrong) {
      Log(LogLevel::kError,
          "a job trained other samples than a run without faults; lory-verify "
          "says which",
          {{"job", name},
           {"proved_to_step", check.verified_step()},
           {"wrong_at_step", check.compared_step()}});
    }
  }
  MutexLock lock(&mutex_);
  for (auto& [name, check] : checks) {
    const auto found = sample_orders_.find(name);  // gone: the job was deleted
    if (found != sample_orders_.end()) found->second = std::move(check);
  }
}

}  // namespace lory::coordinator
