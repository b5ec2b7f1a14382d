#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/data/checkpoint_manifest.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/page_token.h"
#include "coordinator/plan/checkpoint_plan.h"
#include "coordinator/plan/desired_state.h"
#include "coordinator/plan/retention_plan.h"
#include "coordinator/state/names.h"

// The coordinator's half for checkpoints: collecting parts, manifests, and
// what becomes of files.
namespace lory::coordinator {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::CheckpointPart;
using Record = Journal::Record;

constexpr char kManifestFile[] = "/manifest.json";

Checkpoint Assemble(const PendingKey& key, const PendingCheckpoint& pending,
                    const std::string& checkpoints_folder) {
  Checkpoint checkpoint;
  checkpoint.set_name(CheckpointNameOf(key.job, key.step));
  checkpoint.set_state(Checkpoint::WRITING);
  checkpoint.set_reason(absl::StrCat(pending.parts.size(), " parts are in"));
  checkpoint.set_step(key.step);
  checkpoint.set_generation(key.generation);
  checkpoint.set_sample_digest(pending.sample_digest);
  checkpoint.set_folder(absl::StrCat(checkpoints_folder, "/", pending.folder));
  int64_t size = 0;
  for (const auto& [index, part] : pending.parts) {
    *checkpoint.add_parts() = part;
    size += part.size_bytes();
  }
  checkpoint.set_size_bytes(size);
  return checkpoint;
}

// Generation of a folder named step-N.gen-G; -1: another name.
int64_t GenerationOfFolder(absl::string_view folder) {
  const std::vector<absl::string_view> halves =
      absl::StrSplit(folder, absl::MaxSplits(".gen-", 1));
  int64_t generation = -1;
  if (halves.size() != 2 || !absl::ConsumePrefix(&folder, "step-") ||
      !absl::SimpleAtoi(halves[1], &generation)) {
    return -1;
  }
  return generation;
}

Record CheckpointChange(const Checkpoint& checkpoint, Checkpoint::State state,
                        std::string reason) {
  Record record;
  auto* event = record.mutable_checkpoint_state_changed();
  event->set_name(checkpoint.name());
  event->set_state(state);
  event->set_reason(std::move(reason));
  return record;
}

// What is wrong with a file of a checkpoint; empty: nothing. `size_bytes` -1:
// it is not known.
//
// UNAVAILABLE: the file could not be read; what is in it is not known.
absl::StatusOr<std::string> FindDamageOf(io::Storage& storage,
                                         const std::string& folder,
                                         const std::string& file,
                                         int64_t size_bytes,
                                         const std::string& sha256) {
  const std::string path = absl::StrCat(folder, "/", file);
  const auto unread = [&](const absl::Status& status) {
    return absl::UnavailableError(
        absl::StrCat(path, " cannot be read now, so nothing is known of it: ",
                     status.message(), "; look at the storage and try again"));
  };
  const absl::StatusOr<int64_t> size = storage.Size(path);
  if (absl::IsNotFound(size.status())) {
    return absl::StrCat(file, ": ", size.status().message());
  }
  if (!size.ok()) return unread(size.status());
  if (size_bytes >= 0 && *size != size_bytes) {
    return absl::StrCat(file, " has ", *size, " bytes, ", size_bytes,
                        " bytes were written");
  }
  const absl::StatusOr<std::string> found =
      storage.Sha256Hex(path, /*stop=*/{}, /*progress=*/nullptr);
  if (absl::IsNotFound(found.status())) {
    return absl::StrCat(file, ": ", found.status().message());
  }
  if (!found.ok()) return unread(found.status());
  return *found == sha256
             ? ""
             : absl::StrCat(file, " has another content than was written");
}

// The same for all files of a checkpoint: the first that is not as it was
// written. Damage is told also where other files cannot be read.
absl::StatusOr<std::string> FindDamage(io::Storage& storage,
                                       const Checkpoint& checkpoint) {
  absl::StatusOr<std::string> result =
      FindDamageOf(storage, checkpoint.folder(), "manifest.json", -1,
                   checkpoint.manifest_sha256());
  for (const CheckpointPart& part : checkpoint.parts()) {
    if (result.ok() && !result->empty()) break;
    absl::StatusOr<std::string> damage =
        FindDamageOf(storage, checkpoint.folder(), part.file(),
                     part.size_bytes(), part.sha256());
    const bool tells_more = !damage.ok() || !damage->empty();
    if (tells_more && (result.ok() || damage.ok())) result = std::move(damage);
  }
  return result;
}

}  // namespace

std::string Coordinator::CheckpointsFolder(const std::string& job) const {
  return absl::StrCat(JobFolder(options_.storage_root, job), "/checkpoints");
}

data::CheckpointManifest Coordinator::StartManifest(const JobState& job) const {
  data::CheckpointManifest manifest;
  manifest.job = job.name;
  manifest.spec = job.spec;
  if (const Checkpoint* newest = job.NewestCheckpoint()) {
    manifest.previous_sha256 = newest->manifest_sha256();
  }
  const auto dataset = state_.datasets.find(job.spec.dataset());
  if (dataset != state_.datasets.end()) {
    manifest.tokenizer_sha256 = dataset->second.tokenizer_sha256();
  }
  return manifest;
}

absl::Status Coordinator::WriteManifest(data::CheckpointManifest manifest,
                                        Checkpoint& checkpoint) const {
  for (const CheckpointPart& part : checkpoint.parts()) {
    const std::string path =
        absl::StrCat(checkpoint.folder(), "/", part.file());
    LORY_ASSIGN_OR_RETURN(const int64_t size, storage_.Size(path));
    if (size != part.size_bytes()) {
      return absl::DataLossError(absl::StrCat(path, " has ", size, " bytes, ",
                                              part.size_bytes(),
                                              " were reported"));
    }
  }
  manifest.checkpoint = checkpoint;
  const std::string text = data::SerializeCheckpointManifest(manifest);
  checkpoint.set_manifest_sha256(Sha256Hex(text));
  return storage_.Write(absl::StrCat(checkpoint.folder(), kManifestFile), text);
}

absl::StatusOr<Checkpoint> Coordinator::CommitCheckpoint(
    const lory::v1::CommitCheckpointRequest& request) {
  const PendingKey key{request.job(), request.step(), request.generation()};
  Checkpoint checkpoint;
  data::CheckpointManifest manifest;
  int64_t create_order = 0;  // of the job, whose name may come back
  {
    MutexLock lock(&mutex_);
    LORY_ASSIGN_OR_RETURN(PartDecision decision,
                          PlanPart(CurrentView(), request));
    if (decision.kind == PartDecision::Kind::kAnswer) {
      return decision.checkpoint;
    }
    PendingCheckpoint& pending = sessions_.pending[key];
    pending.folder = request.folder();
    pending.sample_digest = request.sample_digest();
    pending.parts[request.part().index()] = request.part();
    checkpoint = Assemble(key, pending, CheckpointsFolder(key.job));
    const bool complete =
        static_cast<int>(pending.parts.size()) == request.part().count();
    if (!complete || pending.writing) return checkpoint;
    pending.writing = true;
    const JobState& job = *state_.FindJob(key.job);
    create_order = job.create_order;
    manifest = StartManifest(job);
  }

  const absl::Status written = WriteManifest(std::move(manifest), checkpoint);

  MutexLock lock(&mutex_);
  const JobState* now = state_.FindJob(key.job);
  if (now == nullptr || now->create_order != create_order) {
    // What was written is nobody's; the job's folder may be back with it.
    const std::string left = now == nullptr
                                 ? JobFolder(options_.storage_root, key.job)
                                 : checkpoint.folder();
    to_delete_.insert(left);
    if (being_removed_.count(left) > 0) remove_again_.insert(left);
    return ErrorWithReason(absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
                           absl::StrCat(key.job, " was deleted meanwhile"));
  }
  const auto pending = sessions_.pending.find(key);
  if (pending != sessions_.pending.end()) pending->second.writing = false;
  if (!written.ok()) {
    Log(LogLevel::kWarning, "checkpoint cannot be committed yet",
        {{"checkpoint", checkpoint.name()}, {"error", written.message()}});
    lory::v1::FailedCheckpoint failed;
    failed.set_step(key.step);
    failed.set_generation(key.generation);
    failed.set_error(std::string(written.message()));
    CommitPlan(CheckpointFailure(*now, failed, /*tried_again=*/true));
    checkpoint.set_reason(std::string(written.message()));
    return checkpoint;
  }
  return CommitWritten(request, *now, std::move(checkpoint));
}

absl::StatusOr<Checkpoint> Coordinator::CommitWritten(
    const lory::v1::CommitCheckpointRequest& request, const JobState& job,
    Checkpoint checkpoint) {
  const absl::StatusOr<PartDecision> decision =
      PlanPart(CurrentView(), request);
  if (!decision.ok()) {
    to_sweep_.insert(job.name);  // the manifest stands alone now
    return decision.status();
  }
  if (decision->kind == PartDecision::Kind::kAnswer) {
    return decision->checkpoint;
  }
  // A step that an earlier generation checkpointed is replaced.
  const auto old = job.checkpoints.find(request.step());
  const std::string old_folder =
      old == job.checkpoints.end() ? "" : old->second.folder();
  checkpoint.set_state(Checkpoint::COMMITTED);
  checkpoint.set_reason("every part is in");
  *checkpoint.mutable_commit_time() = TimestampOf(clock_.WallNow());
  Record record;
  record.mutable_checkpoint_committed()->set_job(job.name);
  *record.mutable_checkpoint_committed()->mutable_checkpoint() = checkpoint;
  LORY_RETURN_IF_ERROR(Commit({std::move(record)}));
  if (!old_folder.empty()) to_delete_.insert(old_folder);
  Evaluate();
  return checkpoint;
}

absl::StatusOr<Checkpoint> Coordinator::FindCheckpoint(
    const std::string& name) {
  const std::optional<CheckpointName> parsed = ParseCheckpointName(name);
  const JobState* job = parsed ? state_.FindJob(parsed->job) : nullptr;
  if (job != nullptr) {
    const auto found = job->checkpoints.find(parsed->step);
    if (found != job->checkpoints.end()) return found->second;
  }
  return ErrorWithReason(
      absl::StatusCode::kNotFound, "CHECKPOINT_NOT_FOUND",
      absl::StrCat("no checkpoint '", name,
                   "'; names are jobs/JOB/checkpoints/STEP"));
}

absl::StatusOr<Checkpoint> Coordinator::GetCheckpoint(const std::string& name) {
  MutexLock lock(&mutex_);
  return FindCheckpoint(name);
}

absl::StatusOr<lory::v1::ListCheckpointsResponse> Coordinator::ListCheckpoints(
    const lory::v1::ListCheckpointsRequest& request) {
  const std::string list = absl::StrCat("checkpoints of ", request.parent());
  LORY_ASSIGN_OR_RETURN(
      const PageRequest page,
      ReadPage(list, request.page_size(), request.page_token(), 50, 500));
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(request.parent()));
  int64_t below = INT64_MAX;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &below)) below = 0;
  lory::v1::ListCheckpointsResponse response;
  for (auto it = job->checkpoints.rbegin(); it != job->checkpoints.rend();
       ++it) {
    if (it->first >= below) continue;
    if (response.checkpoints_size() == page.size) {
      response.set_next_page_token(MakePageToken(
          list, absl::StrCat(response.checkpoints(page.size - 1).step())));
      break;
    }
    *response.add_checkpoints() = it->second;
  }
  return response;
}

absl::StatusOr<Checkpoint> Coordinator::DeleteCheckpoint(
    const lory::v1::DeleteCheckpointRequest& request) {
  constexpr absl::string_view kMethod = "DeleteCheckpoint";
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                        FindAnswered(kMethod, request, request.request_id()));
  LORY_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                        FindCheckpoint(request.name()));
  if (answered || checkpoint.state() == Checkpoint::DELETED) return checkpoint;
  const JobState& job =
      *state_.FindJob(ParseCheckpointName(request.name())->job);
  LORY_RETURN_IF_ERROR(CheckDeletable(state_, job, checkpoint.step()));
  LORY_RETURN_IF_ERROR(
      CommitCall(kMethod, request, request.request_id(), request.name(),
                 {CheckpointChange(checkpoint, Checkpoint::DELETED,
                                   "deleted on request")}));
  Evaluate();
  return FindCheckpoint(request.name());
}

absl::StatusOr<Checkpoint> Coordinator::VerifyCheckpoint(
    const lory::v1::GetCheckpointRequest& request) {
  const std::string& name = request.name();
  LORY_ASSIGN_OR_RETURN(const Checkpoint checkpoint, GetCheckpoint(name));
  if (checkpoint.state() == Checkpoint::DELETED) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "CHECKPOINT_DELETED",
        absl::StrCat(name, " was deleted: ", checkpoint.reason()));
  }
  // A storage that is not mounted has damaged nothing.
  const std::string folder = CheckpointsFolder(ParseCheckpointName(name)->job);
  const auto names = storage_.List(folder);
  if ((!names.ok() || names->empty()) && !request.storage_is_mounted()) {
    return absl::UnavailableError(absl::StrCat(
        "no checkpoint is in ", folder, "; is the storage mounted? If it is, ",
        "`loryctl checkpoint verify --lost` gives them up"));
  }
  LORY_ASSIGN_OR_RETURN(const std::string damage,
                        FindDamage(storage_, checkpoint));

  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const Checkpoint now, FindCheckpoint(name));
  // Replaced or deleted while its files were read: what was seen means nothing.
  if (now.state() == Checkpoint::DELETED ||
      now.generation() != checkpoint.generation()) {
    return now;
  }
  Checkpoint::State state = Checkpoint::COMMITTED;
  std::string reason = "verified: every byte is as it was written";
  const JobState& job = *state_.FindJob(ParseCheckpointName(name)->job);
  if (!damage.empty()) {
    state = Checkpoint::DAMAGED;
    reason = damage;
  } else if (now.state() == Checkpoint::DAMAGED &&
             job.overtaken.count(now.step()) > 0) {
    state = Checkpoint::DAMAGED;
    reason =
        "whole again, but a newer generation has trained its steps without it";
  }
  if (now.state() == state && now.reason() == reason) return now;
  LORY_RETURN_IF_ERROR(Commit({CheckpointChange(now, state, reason)}));
  Evaluate();
  return FindCheckpoint(name);
}

void Coordinator::QueueStaleFolders(const JobState& job) {
  std::set<std::string> used;
  for (const auto& [step, checkpoint] : job.checkpoints) {
    if (checkpoint.state() != Checkpoint::DELETED) {
      used.insert(checkpoint.folder());
    }
  }
  for (const auto& [step, checkpoint] : job.checkpoints) {
    if (checkpoint.state() == Checkpoint::DELETED &&
        used.count(checkpoint.folder()) == 0) {
      to_delete_.insert(checkpoint.folder());
    }
  }
}

// Removes what generations that were fenced off left behind.
void Coordinator::SweepCheckpoints(const std::string& job_name) {
  const std::string folder = CheckpointsFolder(job_name);
  const auto names = storage_.List(folder);
  if (!names.ok()) return;
  MutexLock lock(&mutex_);
  const JobState* job = state_.FindJob(job_name);
  if (job == nullptr) return;
  std::set<std::string> used;
  for (const auto& [step, checkpoint] : job->checkpoints) {
    if (checkpoint.state() != Checkpoint::DELETED) {
      used.insert(checkpoint.folder());
    }
  }
  for (const auto& [key, pending] : sessions_.pending) {
    if (key.job == job_name) {
      used.insert(absl::StrCat(folder, "/", pending.folder));
    }
  }
  for (const std::string& name : *names) {
    const int64_t generation = GenerationOfFolder(name);
    const std::string path = absl::StrCat(folder, "/", name);
    if (generation >= 0 && generation < job->started.number &&
        used.count(path) == 0) {
      to_delete_.insert(path);
    }
  }
}

void Coordinator::JudgeUnreadable() {
  std::map<std::string, std::pair<UnreadableCheckpoint, int64_t>> suspects;
  {
    MutexLock lock(&mutex_);
    for (const auto& [name, job] : state_.jobs) {
      const auto unreadable = FindUnreadable(CurrentView(), job);
      if (unreadable && sessions_.runs[name].whole_for != job.started.number) {
        suspects[name] = {*unreadable, job.started.number};
      }
    }
  }
  for (const auto& [job, suspect] : suspects) {
    const auto& [unreadable, generation] = suspect;
    lory::v1::GetCheckpointRequest request;
    request.set_name(unreadable.name);
    const absl::StatusOr<Checkpoint> seen = VerifyCheckpoint(request);
    MutexLock lock(&mutex_);
    const JobState* judged = state_.FindJob(job);
    if (judged == nullptr || judged->started.number != generation) continue;
    JobRun& run = sessions_.runs[job];
    const std::string failure(seen.status().message());
    if (std::exchange(run.look_failure, failure) != failure && !seen.ok()) {
      Log(LogLevel::kWarning, "a checkpoint cannot be looked at; tried again",
          {{"checkpoint", unreadable.name}, {"error", failure}});
      Evaluate();  // the job's reason says so
    }
    if (!seen.ok() || seen->state() != Checkpoint::COMMITTED) continue;
    run.whole_for = generation;
    // Once may be chance; a host that never can read it is not fit.
    const WorkerSession* worker = sessions_.FindWorker(unreadable.by.worker);
    if (++run.exits_without_progress + 1 >= options_.plan.exit_limit &&
        worker != nullptr) {
      run.exits_without_progress = 0;
      run.barred[unreadable.by] = {.daemon = worker->incarnation,
                                   .error = unreadable.error};
    }
    Evaluate();
  }
}

void Coordinator::DoHousekeeping() {
  JudgeUnreadable();
  CheckSampleOrders();
  std::set<std::string> folders, jobs;
  std::vector<lory::v1::Dataset> datasets;
  {
    MutexLock lock(&mutex_);
    jobs = std::exchange(to_sweep_, {});
    const absl::Time now = clock_.MonotonicNow();
    if (now - datasets_looked_at_ > absl::Seconds(10)) {
      datasets_looked_at_ = now;
      for (const auto& [name, job] : state_.jobs) {
        const auto found = state_.datasets.find(job.spec.dataset());
        if (job.state == lory::v1::Job::QUEUED &&
            found != state_.datasets.end()) {
          datasets.push_back(found->second);
        }
      }
    }
  }
  for (const std::string& job : jobs) SweepCheckpoints(job);
  for (lory::v1::Dataset& dataset : datasets) {
    dataset = LookAtDataset(std::move(dataset));
  }
  {
    MutexLock lock(&mutex_);
    for (const lory::v1::Dataset& dataset : datasets) {
      if (dataset.state() == lory::v1::Dataset::READY) {
        sessions_.missing_datasets.erase(dataset.name());
      } else {
        sessions_.missing_datasets[dataset.name()] = dataset.reason();
      }
    }
    folders = to_delete_;
  }
  for (const std::string& folder : folders) RemoveFolder(folder);
}

void Coordinator::RemoveFolder(const std::string& folder) {
  {
    MutexLock lock(&mutex_);
    // Gone already, and perhaps in use by a later job; or being removed.
    if (to_delete_.count(folder) == 0 || !being_removed_.insert(folder).second)
      return;
  }
  const absl::Status removed = storage_.Remove(folder);
  MutexLock lock(&mutex_);
  being_removed_.erase(folder);
  const bool came_back = remove_again_.erase(folder) > 0;
  if (removed.ok()) {
    if (!came_back) to_delete_.erase(folder);
  } else {
    Log(LogLevel::kWarning, "files cannot be deleted",
        {{"folder", folder}, {"error", removed.message()}});
  }
}

}  // namespace lory::coordinator
