#include "coordinator/plan/worker_plan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "coordinator/plan/member_health.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

// Why nobody can say yet that the worker is gone.
std::string SignOfLife(const View& view, const std::string& worker) {
  const std::string lease = ShortDuration(view.options.lease);
  const WorkerSession* session = view.sessions.FindWorker(worker);
  if (session == nullptr) {
    return absl::StrCat(" may come back: the coordinator began less than ",
                        lease, " ago; try again then");
  }
  if (session->stream_open) {
    const bool drains = view.state.draining_workers.count(worker) > 0;
    return absl::StrCat(
        " attends; ",
        drains ? ""
               : absl::StrCat("`loryctl worker drain ", IdOf(worker), "`, "),
        "stop its daemon", drains ? " once it is DRAINED" : "",
        ", and try again ", lease, " later");
  }
  return absl::StrCat(" may come back: it was heard of less than ", lease,
                      " ago; try again then");
}

// A job that has something of the worker; empty: none has.
std::string UserOf(const View& view, const std::string& worker) {
  const auto lease = view.sessions.leases.lower_bound({worker, 0});
  if (lease != view.sessions.leases.end() && lease->first.worker == worker) {
    return lease->second;
  }
  for (const auto& [name, job] : view.state.jobs) {
    const std::vector<SlotKey>& members = job.generation.members;
    if (job.generation.live() &&
        std::any_of(members.begin(), members.end(),
                    [&](const SlotKey& key) { return key.worker == worker; })) {
      return name;
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<Plan> PlanWorkerDeletion(const View& view,
                                        const std::string& worker) {
  if (!WorkerLost(view, worker)) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                           "WORKER_ALIVE",
                           absl::StrCat(worker, SignOfLife(view, worker)));
  }
  if (const std::string job = UserOf(view, worker); !job.empty()) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                           "WORKER_IN_USE",
                           absl::StrCat(job, " has not let ", worker,
                                        " go yet; `loryctl job explain ",
                                        IdOf(job), "` says what it does"));
  }
  Plan plan;
  plan.reason = absl::StrCat(worker, " is forgotten on request");
  if (view.state.draining_workers.count(worker) > 0) {
    lory::internal::v1::JournalRecord record;
    record.mutable_worker_drain_changed()->set_worker(worker);
    record.mutable_worker_drain_changed()->set_drain(false);
    plan.events.push_back(std::move(record));
  }
  return plan;
}

}  // namespace lory::coordinator
