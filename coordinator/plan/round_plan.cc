#include "coordinator/plan/round_plan.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "coordinator/plan/member_health.h"
#include "coordinator/state/job_state.h"

namespace lory::coordinator {
namespace {

using ::lory::v1::Round;
using ::lory::v1::TrainerStatus;

RoundPlan NoRound(std::string reason) {
  return {std::nullopt, std::move(reason)};
}

// Seconds a step will take with `shares`; 0: unknown.
double StepSeconds(const std::vector<int32_t>& shares,
                   const std::vector<double>& seconds, const JobRun& run) {
  double slowest = 0;
  for (size_t rank = 0; rank < shares.size(); ++rank) {
    slowest = std::max(slowest, shares[rank] * seconds[rank]);
  }
  // The measured step has the all-reduce in it.
  return std::max(slowest, run.step_seconds);
}

int64_t StepsOf(const View& view, const JobState& job, int64_t first_step,
                double step_seconds) {
  const bool first_of_job = first_step == 0 && job.started.start_step == 0;
  int64_t steps = view.options.first_round_steps;
  if (!first_of_job && step_seconds > 0) {
    steps = static_cast<int64_t>(
        absl::ToDoubleSeconds(view.options.round_length) / step_seconds);
  }
  steps = std::clamp<int64_t>(steps, 1, 100'000);
  return std::min(steps, job.spec.step_count() - first_step);
}

// The newest round any member holds, after a restart; nothing: not all have
// said what they hold.
std::optional<Round> Recovered(const View& view, const JobState& job,
                               std::string& reason) {
  Round newest;
  for (const SlotKey& key : job.started.members) {
    const WorkerSession* worker = view.sessions.FindWorker(key.worker);
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    if (worker == nullptr || !worker->reported || status == nullptr) {
      reason = absl::StrCat("waits for ", ToString(key), " to report");
      return std::nullopt;
    }
    // A coordinator that just began may be followed by messages that the one
    // before sent; trainers need a moment to say that they have them.
    const bool restarted =
        worker->stream_opened - view.sessions.started < view.options.lease;
    if (restarted && view.now - worker->stream_opened < view.options.settle) {
      reason = absl::StrCat("waits for ", ToString(key), " to settle");
      return std::nullopt;
    }
    // While it is PREPARED, the round it names is of the generation before.
    if (status->generation() == job.started.number &&
        status->phase() != TrainerStatus::PREPARED &&
        status->round().id() > newest.id()) {
      newest = status->round();
    }
  }
  return newest;
}

}  // namespace

RoundPlan PlanRound(const View& view, const JobState& job) {
  if (!HoldsSlots(job.state) ||
      !job.generation.Is(GenerationState::Phase::kStarted)) {
    return NoRound("no generation trains");
  }
  const JobRun* run = view.sessions.FindRun(job.name);
  if (run == nullptr || run->started != job.started.number) return NoRound("");
  Round held = run->round;
  if (held.id() == 0) {
    std::string reason;
    const std::optional<Round> recovered = Recovered(view, job, reason);
    if (!recovered) return NoRound(std::move(reason));
    held = *recovered;
    if (held.id() > 0) return {held, "as the trainers reported it"};
  }
  const int64_t end = held.id() == 0 ? job.started.start_step
                                     : held.first_step() + held.step_count();
  if (end >= job.spec.step_count()) return NoRound("the last round is granted");
  const int64_t left =
      end - std::max(run->highest_step, job.started.start_step);
  if (held.id() > 0 && 3 * left > held.step_count()) {
    return NoRound(
        absl::StrCat(left, " steps of round ", held.id(), " are left"));
  }
  std::vector<double> seconds;
  for (const SlotKey& key : job.started.members) {
    const TrainerStatus* status = view.sessions.FindTrainer(key, job.name);
    seconds.push_back(status == nullptr ? 0 : status->micro_batch_seconds());
  }
  const std::vector<int32_t> shares =
      PlanShares(job.spec.micro_batch_count(), seconds);
  Round next;
  next.set_id(held.id() + 1);
  next.set_first_step(end);
  next.set_step_count(
      StepsOf(view, job, end, StepSeconds(shares, seconds, *run)));
  for (const int32_t share : shares) next.add_shares(share);
  return {next, absl::StrCat("steps ", end, " to ", end + next.step_count() - 1,
                             ", shares ", absl::StrJoin(shares, "/"))};
}

std::vector<int32_t> PlanShares(int32_t micro_batch_count,
                                const std::vector<double>& seconds) {
  LORY_CHECK(!seconds.empty());
  LORY_CHECK(micro_batch_count >= static_cast<int32_t>(seconds.size()));
  double sum = 0;
  int known = 0;
  for (const double value : seconds) {
    if (value > 0) {
      sum += value;
      ++known;
    }
  }
  const double mean = known == 0 ? 1 : sum / known;
  // The next micro-batch goes to the rank that would be done with it first:
  // that keeps the slowest rank as fast as it can be.
  using Entry = std::pair<double, size_t>;  // when done with one more, rank
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> queue;
  const auto cost = [&](size_t rank) {
    return seconds[rank] > 0 ? seconds[rank] : mean;
  };
  std::vector<int32_t> shares(seconds.size(), 1);
  for (size_t rank = 0; rank < shares.size(); ++rank) {
    queue.push({2 * cost(rank), rank});
  }
  for (int32_t left = micro_batch_count - static_cast<int32_t>(shares.size());
       left > 0; --left) {
    const size_t rank = queue.top().second;
    queue.pop();
    ++shares[rank];
    queue.push({(shares[rank] + 1) * cost(rank), rank});
  }
  return shares;
}

}  // namespace lory::coordinator
