#include "worker/daemon/daemon_metrics.h"

#include <array>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "worker/daemon/host_info.h"
#include "worker/daemon/progress_metrics.h"
#include "worker/daemon/trainer_log.h"

namespace lory::daemon {
namespace {

using ::lory::v1::TrainerStatus;

constexpr std::array kCauses = {EndCause::kOrdered, EndCause::kExit,
                                EndCause::kSignal, EndCause::kHang,
                                EndCause::kStart};
constexpr std::array kFates = {PartFate::kCommitted, PartFate::kDeleted,
                               PartFate::kFenced, PartFate::kRefused};

void Declare(metrics::Registry& registry) {
  registry.DeclareGauge("lory_worker_attached",
                        "Whether the coordinator holds a session with this "
                        "worker.");
  registry.DeclareGauge("lory_worker_reconnects",
                        "Sessions since the start, less the first.");
  registry.DeclareGauge("lory_worker_slots", "Trainers it can run at once.");
  registry.DeclareGauge("lory_worker_trainers",
                        "Trainers that are there, by phase.");
  registry.DeclareCounter("lory_worker_trainer_ends_total",
                          "Trainers that ended, by cause: ordered, exit, "
                          "signal, hang, start (could not be started).");
  registry.DeclareCounter("lory_worker_checkpoint_parts_total",
                          "Checkpoint parts the coordinator has decided on, "
                          "by fate.");
  registry.DeclareGauge("lory_trainer_generation",
                        "Newest generation a trainer was told of.");
  registry.DeclareGauge("lory_trainer_applied_step",
                        "Steps applied to the state a trainer holds; -1: "
                        "none.");
  registry.DeclareGauge("lory_trainer_micro_batch_seconds",
                        "Median time of a micro-batch, without waiting for "
                        "peers.");
  registry.DeclareGauge("lory_trainer_checkpoint_stall_seconds",
                        "Mean time that training stood still for one "
                        "checkpoint.");
  registry.DeclareGauge("lory_trainer_resident_memory_bytes",
                        "What a trainer's process holds in RAM.");
}

}  // namespace

DaemonMetrics::DaemonMetrics(const TrainerTable& table,
                             const CoordinatorSession& session,
                             int32_t slot_count)
    : table_(table), session_(session), slot_count_(slot_count) {
  Declare(registry_);
  DeclareProgress(registry_);
  // Series are there, at zero, before the first event: rates need that.
  for (const EndCause cause : kCauses) {
    registry_.Add("lory_worker_trainer_ends_total",
                  {{"cause", std::string(NameOf(cause))}}, 0);
  }
  for (const PartFate fate : kFates) {
    registry_.Add("lory_worker_checkpoint_parts_total",
                  {{"fate", std::string(NameOf(fate))}}, 0);
  }
}

void DaemonMetrics::CountEnd(EndCause cause) {
  registry_.Add("lory_worker_trainer_ends_total",
                {{"cause", std::string(NameOf(cause))}});
}

void DaemonMetrics::CountPart(PartFate fate) {
  registry_.Add("lory_worker_checkpoint_parts_total",
                {{"fate", std::string(NameOf(fate))}});
}

void DaemonMetrics::SetDaemon() {
  const CoordinatorSession::State state = session_.state();
  registry_.Set("lory_worker_attached", {}, state.attached ? 1 : 0);
  registry_.Set("lory_worker_reconnects", {},
                static_cast<double>(state.reconnect_count));
  registry_.Set("lory_worker_slots", {}, slot_count_);
  std::map<std::string, int> by_phase;
  for (int i = 1; i < TrainerStatus::Phase_ARRAYSIZE; ++i) {
    by_phase[TrainerStatus::Phase_Name(i)] = 0;
  }
  for (const TrainerTable::Snapshot& snapshot : table_.Snapshots()) {
    ++by_phase[TrainerStatus::Phase_Name(snapshot.status.phase())];
  }
  for (const auto& [phase, count] : by_phase) {
    registry_.Set("lory_worker_trainers",
                  {{"phase", absl::AsciiStrToLower(phase)}}, count);
  }
}

void DaemonMetrics::SetTrainer(const TrainerTable::Snapshot& snapshot) {
  const TrainerStatus& status = snapshot.status;
  const std::string job = JobIdOf(status.job());
  const metrics::Labels labels = {{"job", job},
                                  {"slot", absl::StrCat(status.slot())}};
  registry_.Set("lory_trainer_generation", labels,
                static_cast<double>(status.generation()));
  registry_.Set("lory_trainer_applied_step", labels,
                static_cast<double>(status.applied_step()));
  registry_.Set("lory_trainer_micro_batch_seconds", labels,
                status.micro_batch_seconds());
  registry_.Set("lory_trainer_checkpoint_stall_seconds", labels,
                status.checkpoint_stall_seconds());
  registry_.Set("lory_trainer_resident_memory_bytes", labels,
                static_cast<double>(ResidentBytes(status.process_id())));
  const bool is_in_generation = snapshot.assignment.world_size() > 0;
  if (is_in_generation && snapshot.assignment.rank() == 0 &&
      status.has_progress()) {
    SetProgress(job, status.progress(), registry_);
  }
}

std::string DaemonMetrics::Serialize() {
  MutexLock lock(&mutex_);
  for (const std::string& job : jobs_) registry_.RemoveMatching({{"job", job}});
  jobs_.clear();
  SetDaemon();
  for (const TrainerTable::Snapshot& snapshot : table_.Snapshots()) {
    jobs_.insert(JobIdOf(snapshot.status.job()));
    SetTrainer(snapshot);
  }
  return registry_.Serialize();
}

}  // namespace lory::daemon
