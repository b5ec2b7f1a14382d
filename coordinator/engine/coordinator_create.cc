#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/job_validation.h"
#include "common/text/same_tokenizer.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/initial_weights.h"
#include "coordinator/plan/desired_state.h"
#include "coordinator/plan/views.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

// The coordinator's half for people: how a job comes into being.
namespace lory::coordinator {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using Record = Journal::Record;

// The checkpoint that lies in `folder`; empty: none of any job known.
std::string NameOfFolder(const CoordinatorState& state,
                         const std::string& folder) {
  for (const auto& [name, job] : state.jobs) {
    for (const auto& [step, checkpoint] : job.checkpoints) {
      if (checkpoint.folder() == folder) return checkpoint.name();
    }
  }
  return "";
}

// SHA-256 of a dataset's tokenizer; empty: no such dataset.
std::string TokenizerOf(const CoordinatorState& state,
                        const std::string& dataset) {
  const auto found = state.datasets.find(dataset);
  return found == state.datasets.end() ? "" : found->second.tokenizer_sha256();
}

// Of a model that is nowhere in the job file: said of what it was taken from.
absl::Status TakenModelDiffers(const lory::v1::JobSpec& spec,
                               const lory::v1::Dataset& dataset) {
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, "DATASET_MISMATCH",
      absl::StrCat(
          "spec.init_from: the model of ", spec.init_from(), " has ",
          spec.model().vocabulary_size(), " token ids and sequences of ",
          spec.model().sequence_length(), " tokens, ", spec.dataset(), " has ",
          dataset.vocabulary_size(), " and ", dataset.sequence_length(),
          "; name a dataset that has the same, or, where only the "
          "length differs, give the checkpoint's `model` whole, with "
          "sequence_length: ",
          dataset.sequence_length()));
}

}  // namespace

absl::StatusOr<Checkpoint> Coordinator::FindInitial(
    const std::string& init_from) const {
  const auto named = ParseCheckpointName(init_from);
  const auto job = FindJob(named ? named->job : init_from);
  if (!job.ok()) return Annotate(job.status(), "spec.init_from");
  const Checkpoint* found = (*job)->NewestCheckpoint();
  if (named) {
    const auto at = (*job)->checkpoints.find(named->step);
    found = at == (*job)->checkpoints.end() ? nullptr : &at->second;
  }
  if (found == nullptr || found->state() != Checkpoint::COMMITTED) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "NO_SUCH_CHECKPOINT",
        absl::StrCat("spec.init_from: ", init_from,
                     named ? " is no committed checkpoint"
                           : " has no committed checkpoint",
                     "; `loryctl checkpoint list ", IdOf((*job)->name),
                     "` shows those there are"));
  }
  return *found;
}

absl::StatusOr<Coordinator::NewJob> Coordinator::Complete(
    const lory::v1::JobSpec& spec) {
  NewJob job{.spec = spec};
  if (spec.init_from().empty()) return job;
  job.takes_model = !spec.has_model();
  std::string folder;
  if (absl::StartsWith(spec.init_from(), "/")) {
    std::vector<std::string> roots = options_.data_roots;
    roots.push_back(options_.storage_root);
    const auto resolved = io::ResolveBeneath(spec.init_from(), roots);
    if (!resolved.ok()) return Annotate(resolved.status(), "spec.init_from");
    folder = *resolved;
  }
  {
    MutexLock lock(&mutex_);
    // A folder may be a job's own, which is kept like one that is named.
    const std::string name =
        folder.empty() ? spec.init_from() : NameOfFolder(state_, folder);
    if (!name.empty()) {
      LORY_ASSIGN_OR_RETURN(const Checkpoint found, FindInitial(name));
      folder = found.folder();
      job.initial_name = found.name();
    }
  }
  LORY_ASSIGN_OR_RETURN(const data::CheckpointManifest manifest,
                        ReadInitialWeights(storage_, folder));
  LORY_RETURN_IF_ERROR(BeginFrom(manifest, job.spec));
  job.initial = manifest.checkpoint;
  job.initial->set_name(job.initial_name);
  job.initial->set_state(Checkpoint::COMMITTED);
  job.initial_dataset = manifest.spec.dataset();
  job.initial_tokenizer = manifest.tokenizer_sha256;
  return job;
}

absl::Status Coordinator::CheckInitial(const NewJob& job) const {
  if (!job.initial) return absl::OkStatus();
  // It may have gone since it was read.
  if (!job.initial_name.empty()) {
    LORY_RETURN_IF_ERROR(FindInitial(job.initial_name).status());
  }
  // Old manifests name a dataset alone. That of a job of this service is the
  // one known here; another service's may have nothing but the name of it.
  std::string trained = job.initial_tokenizer;
  if (trained.empty() && !job.initial_name.empty()) {
    trained = TokenizerOf(state_, job.initial_dataset);
  }
  const absl::Status same = text::CheckSameTokenizer(
      {absl::StrCat("spec.dataset: ", job.spec.dataset()),
       TokenizerOf(state_, job.spec.dataset())},
      {absl::StrCat("the checkpoint ", job.spec.init_from()), trained},
      absl::StrCat(
          "build the dataset with `lory-corpus build` and "
          "`tokenizer: {file: ...}`, the tokenizer of ",
          job.initial_dataset.empty() ? "that model" : job.initial_dataset));
  if (same.ok()) return same;
  return ErrorWithReason(same.code(), "TOKENIZER_DIFFERS", same.message());
}

absl::Status Coordinator::CheckNewJob(const NewJob& wanted,
                                      const std::string& name) {
  const lory::v1::JobSpec& spec = wanted.spec;
  LORY_RETURN_IF_ERROR(config::ValidateJobSpec(spec));
  if (state_.FindJob(name) != nullptr) {
    return ErrorWithReason(
        absl::StatusCode::kAlreadyExists, "JOB_EXISTS",
        absl::StrCat(name,
                     " exists already; choose another name, or delete "
                     "it when it has ended"));
  }
  const std::string folder = JobFolder(options_.storage_root, name);
  const bool files_remain = std::any_of(
      to_delete_.begin(), to_delete_.end(),
      [&](const std::string& other) { return IsWithin(other, folder); });
  if (files_remain) {
    return ErrorWithReason(absl::StatusCode::kUnavailable, "JOB_FILES_REMAIN",
                           absl::StrCat("files of an earlier ", name,
                                        " are still being deleted; try again"));
  }
  const auto dataset = state_.datasets.find(spec.dataset());
  if (dataset == state_.datasets.end()) {
    return ErrorWithReason(
        absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
        absl::StrCat("no dataset '", spec.dataset(),
                     "'; register it with `loryctl dataset register`"));
  }
  if (IsEvaluation(spec) && dataset->second.domains().empty()) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "NO_HELD_OUT_TEXT",
        absl::StrCat("spec.dataset: ", spec.dataset(),
                     " has no held-out text to evaluate on; build it with "
                     "held_out.fraction above 0"));
  }
  const absl::Status fits =
      config::CheckAgainstDataset(spec, dataset->second.vocabulary_size(),
                                  dataset->second.sequence_length());
  if (fits.ok() || !wanted.takes_model) return fits;
  return TakenModelDiffers(spec, dataset->second);
}

absl::Status Coordinator::CheckFolderIsFree(const std::string& name) const {
  const std::string folder = JobFolder(options_.storage_root, name);
  const absl::StatusOr<std::vector<std::string>> files = storage_.List(folder);
  if (files.ok() && files->empty()) return absl::OkStatus();
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, "JOB_FOLDER_TAKEN",
      files.ok()
          ? absl::StrCat(folder,
                         " holds files of a job that this coordinator does "
                         "not know: choose another name, move the folder away "
                         "or remove it, or start the coordinator with the "
                         "--state that belongs to this --storage-root")
          : absl::StrCat("whether ", folder, " is free cannot be told: ",
                         files.status().message()));
}

absl::StatusOr<std::optional<Job>> Coordinator::FindCreated(
    const lory::v1::CreateJobRequest& request) {
  LORY_ASSIGN_OR_RETURN(
      const std::optional<std::string> answered,
      FindAnswered("CreateJob", request, request.request_id()));
  if (!answered) return std::optional<Job>();
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(*answered));
  return BuildJob(CurrentView(), *job, reasons_[job->name]);
}

absl::StatusOr<Job> Coordinator::CreateJob(
    const lory::v1::CreateJobRequest& request) {
  std::string id = request.job_id();
  if (id.empty()) id = absl::StrCat("job-", SecureRandomHex(4));
  const std::string name = absl::StrCat(kJobs, id);
  {
    MutexLock lock(&mutex_);
    LORY_ASSIGN_OR_RETURN(const std::optional<Job> created,
                          FindCreated(request));
    if (created) return *created;
    LORY_RETURN_IF_ERROR(CheckId(id, "job_id"));
  }
  LORY_ASSIGN_OR_RETURN(const NewJob wanted, Complete(request.spec()));
  {
    MutexLock lock(&mutex_);
    LORY_RETURN_IF_ERROR(CheckNewJob(wanted, name));
  }
  const absl::Status is_free = CheckFolderIsFree(name);

  MutexLock lock(&mutex_);
  // Another call may have come meanwhile: this one, or one for the same name.
  LORY_ASSIGN_OR_RETURN(const std::optional<Job> created, FindCreated(request));
  if (created) return *created;
  LORY_RETURN_IF_ERROR(CheckNewJob(wanted, name));
  LORY_RETURN_IF_ERROR(CheckInitial(wanted));
  LORY_RETURN_IF_ERROR(is_free);
  Record record;
  Job* job = record.mutable_job_created()->mutable_job();
  job->set_name(name);
  *job->mutable_spec() = config::FillDefaults(wanted.spec);
  if (wanted.initial) *job->mutable_initial_checkpoint() = *wanted.initial;
  job->set_state(Job::QUEUED);
  job->set_reason("waits for its turn");
  job->set_generation(state_.GenerationsBefore(name));
  job->set_checkpoint_step(-1);
  job->mutable_progress()->set_step_count(job->spec().step_count());
  *job->mutable_create_time() = TimestampOf(clock_.WallNow());
  Job answer = *job;
  answer.clear_generation();  // it has none of its own yet
  if (request.validate_only()) return answer;
  LORY_RETURN_IF_ERROR(CommitCall("CreateJob", request, request.request_id(),
                                  name, {std::move(record)}));
  Evaluate();
  return answer;
}

}  // namespace lory::coordinator
