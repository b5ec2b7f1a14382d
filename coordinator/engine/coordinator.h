#ifndef LORY_COORDINATOR_ENGINE_COORDINATOR_H_
#define LORY_COORDINATOR_ENGINE_COORDINATOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/data/checkpoint_manifest.h"
#include "common/io/storage.h"
#include "coordinator/engine/journal.h"
#include "coordinator/engine/sample_order_check.h"
#include "coordinator/plan/plan_options.h"
#include "coordinator/state/coordinator_state.h"
#include "coordinator/state/sessions.h"
#include "lory/v1/checkpoint.pb.h"
#include "lory/v1/dataset.pb.h"
#include "lory/v1/job.pb.h"
#include "lory/v1/worker.pb.h"

namespace lory::coordinator {

// Where one daemon's stream goes. Called under the coordinator's lock: must
// neither block nor call back.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void Send(lory::v1::AttendResponse response) = 0;
  // Ends the stream; nothing is sent afterwards.
  virtual void Close(absl::Status status) = 0;
};

// Hears what the engine does, for metrics. Called under the lock.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  virtual void Appended(absl::Duration took,
                        std::span<const Journal::Record> records) = 0;
};

// A point of a job's loss curve.
struct LossPoint {
  int64_t step = 0;
  double loss = 0;
};

// Everything a status page or a scrape needs, at one moment.
struct Snapshot {
  std::vector<lory::v1::Job> jobs;  // newest first
  std::vector<lory::v1::Worker> workers;
  std::map<std::string, std::vector<LossPoint>> losses;           // by job
  std::map<std::string, std::vector<lory::v1::JobEvent>> events;  // newest
  std::map<std::string, SampleOrderCheck> sample_orders;          // by job
  int64_t journal_records = 0;
};

// The heart: lock, plan, append, apply, answer. Knows neither gRPC nor
// threads; whoever drives it calls Tick now and then. Thread-safe. Errors
// carry a reason (common/base/error_detail.h); docs/protocol.md lists them.
//
// Files are read and written outside the lock. No call waits for a daemon.
class Coordinator {
 public:
  struct Options {
    PlanOptions plan;
    std::string storage_root;             // jobs lie in <storage_root>/jobs
    std::vector<std::string> data_roots;  // datasets must lie beneath one
  };

  // Replays `journal`. All but `options` must outlive the coordinator.
  //
  // DATA_LOSS: the journal contradicts itself.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Create(
      Options options, Journal& journal, Clock& clock, io::Storage& storage,
      EngineObserver* observer = nullptr);

  // ---- for people: jobs ----
  absl::StatusOr<lory::v1::Job> CreateJob(
      const lory::v1::CreateJobRequest& request);
  absl::StatusOr<lory::v1::Job> GetJob(const std::string& name);
  absl::StatusOr<lory::v1::ListJobsResponse> ListJobs(
      const lory::v1::ListJobsRequest& request);
  absl::StatusOr<lory::v1::Job> UpdateJob(
      const lory::v1::UpdateJobRequest& request);
  absl::StatusOr<lory::v1::Job> PauseJob(
      const lory::v1::JobVerbRequest& request);
  absl::StatusOr<lory::v1::Job> ResumeJob(
      const lory::v1::JobVerbRequest& request);
  absl::StatusOr<lory::v1::Job> CancelJob(
      const lory::v1::JobVerbRequest& request);
  // Blocks for the removal of the job's files.
  absl::StatusOr<lory::v1::Job> DeleteJob(
      const lory::v1::JobVerbRequest& request);
  absl::StatusOr<lory::v1::ExplainJobResponse> ExplainJob(
      const std::string& name);
  absl::StatusOr<lory::v1::ListJobEventsResponse> ListJobEvents(
      const lory::v1::ListJobEventsRequest& request);
  // Control endpoints of the workers that hold slots of the job.
  absl::StatusOr<std::vector<std::string>> LogSources(const std::string& name);

  // Blocks until something changed after `seen` or `timeout` passed; returns
  // the newest change number.
  int64_t WaitForChange(int64_t seen, absl::Duration timeout);

  // ---- for people: workers ----
  absl::StatusOr<lory::v1::Worker> GetWorker(const std::string& name);
  absl::StatusOr<lory::v1::ListWorkersResponse> ListWorkers(
      const lory::v1::ListWorkersRequest& request);
  absl::StatusOr<lory::v1::Worker> DrainWorker(
      const lory::v1::WorkerVerbRequest& request);
  absl::StatusOr<lory::v1::Worker> UndrainWorker(
      const lory::v1::WorkerVerbRequest& request);
  // Forgets a worker that is gone.
  absl::StatusOr<lory::v1::Worker> DeleteWorker(
      const lory::v1::WorkerVerbRequest& request);

  // ---- for people: datasets; these read manifests ----
  absl::StatusOr<lory::v1::Dataset> CreateDataset(
      const lory::v1::CreateDatasetRequest& request);
  absl::StatusOr<lory::v1::Dataset> GetDataset(const std::string& name);
  absl::StatusOr<lory::v1::ListDatasetsResponse> ListDatasets(
      const lory::v1::ListDatasetsRequest& request);
  absl::StatusOr<lory::v1::Dataset> DeleteDataset(
      const lory::v1::DeleteDatasetRequest& request);

  // ---- for people: checkpoints ----
  absl::StatusOr<lory::v1::Checkpoint> GetCheckpoint(const std::string& name);
  absl::StatusOr<lory::v1::ListCheckpointsResponse> ListCheckpoints(
      const lory::v1::ListCheckpointsRequest& request);
  absl::StatusOr<lory::v1::Checkpoint> DeleteCheckpoint(
      const lory::v1::DeleteCheckpointRequest& request);
  // Reads every byte of it.
  absl::StatusOr<lory::v1::Checkpoint> VerifyCheckpoint(
      const lory::v1::GetCheckpointRequest& request);

  // ---- for daemons ----
  // Opens a stream with its first message; answers through `sink` from now on.
  // Returns the stream's number.
  absl::StatusOr<int64_t> Attach(const lory::v1::AttendRequest& hello,
                                 std::shared_ptr<Sink> sink);
  // A message of an open stream; ignored when the stream was superseded.
  void Receive(int64_t stream, const lory::v1::AttendRequest& message);
  // The stream broke; ignored when it was superseded.
  void Detach(int64_t stream, absl::string_view reason);
  // Writes the manifest when the part is the last.
  absl::StatusOr<lory::v1::Checkpoint> CommitCheckpoint(
      const lory::v1::CommitCheckpointRequest& request);

  // ---- for whoever drives it ----
  // Acts on time that has passed. A few times a second.
  void Tick();
  // What takes time: deletes what the journal calls deleted, looks at datasets
  // that jobs wait for, at checkpoints that a trainer cannot read, and at which
  // samples jobs train. Blocks for the disk. One caller at a time.
  void DoHousekeeping();
  // Ends every stream with UNAVAILABLE, and answers no more.
  void Shutdown();

  Snapshot TakeSnapshot(size_t events_per_job);
  // The journal failed for good: the process must start again.
  bool failed();

  // Times that deciding came to no end: always 0, or plans are wrong.
  int64_t livelock_count();

  // For tests: what was promised, and what is known, at this moment.
  void Inspect(const std::function<void(const CoordinatorState&,
                                        const Sessions&)>& look);

 private:
  struct Attached {
    std::string worker;
    std::shared_ptr<Sink> sink;
    int64_t version = 0;
    std::string desired;  // the newest sent, serialised without version
  };

  Coordinator(Options options, Journal& journal, Clock& clock,
              io::Storage& storage, EngineObserver* observer);

  absl::Status Replay();
  View CurrentView() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Append, then apply. On error nothing has changed.
  absl::Status Commit(std::vector<Journal::Record> records)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AfterApply(const Journal::Record& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AfterStart(const lory::internal::v1::GenerationStarted& event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Looks again at what is kept of this job, and of the one it begins from.
  void RetentionDue(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AfterStateChange(const JobState& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Plans until nothing is left to decide, then tells the daemons.
  void Evaluate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool EvaluateOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool EvaluateJob(const JobState& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool EvaluateRetention() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool EvaluateSchedule() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool CommitPlan(const Plan& plan) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PushDesired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteLosses() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetWorkers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // A repeated call's first answer, by the resource it was about; nothing: the
  // call is new. INVALID_ARGUMENT, REQUEST_ID_REUSED: the id served another.
  absl::StatusOr<std::optional<std::string>> FindAnswered(
      absl::string_view method, const google::protobuf::Message& request,
      const std::string& request_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Remembers the call together with what it did.
  absl::Status CommitCall(absl::string_view method,
                          const google::protobuf::Message& request,
                          const std::string& request_id,
                          const std::string& resource,
                          std::vector<Journal::Record> records)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::StatusOr<const JobState*> FindJob(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The verbs: what each does, given the job.
  using Verb = std::function<absl::StatusOr<std::vector<Journal::Record>>(
      const JobState&)>;
  absl::StatusOr<lory::v1::Job> ActOnJob(
      absl::string_view method, const lory::v1::JobVerbRequest& request,
      const Verb& verb);
  // A job that is to be created.
  struct NewJob {
    lory::v1::JobSpec spec;    // with the model of what it begins from
    bool takes_model = false;  // because none was asked for
    // With the path of its folder; nothing: random weights.
    std::optional<lory::v1::Checkpoint> initial;
    std::string initial_name;     // empty: of no job of this service
    std::string initial_dataset;  // that it was trained on
    // SHA-256 of the tokenizer it was trained with; empty: not known.
    std::string initial_tokenizer;
  };
  // The committed checkpoint that `init_from` names, with the path of its
  // folder.
  absl::StatusOr<lory::v1::Checkpoint> FindInitial(
      const std::string& init_from) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Looks at the disk for what `spec` begins from, if for anything.
  absl::StatusOr<NewJob> Complete(const lory::v1::JobSpec& spec);
  // Whether that is still there, and of the dataset's tokenizer.
  absl::Status CheckInitial(const NewJob& job) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckNewJob(const NewJob& wanted, const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a job that is not known and not being deleted: whether nothing lies in
  // its folder. Looks at the disk.
  absl::Status CheckFolderIsFree(const std::string& name) const;
  // The job of a call that was answered before; nothing: the call is new.
  absl::StatusOr<std::optional<lory::v1::Job>> FindCreated(
      const lory::v1::CreateJobRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<lory::v1::Worker> SetDrain(
      const lory::v1::WorkerVerbRequest& request, bool drain);
  bool KnowsWorker(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckAttach(const lory::v1::WorkerHello& hello)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<lory::v1::Dataset> ReadDataset(const std::string& path) const;
  // The same content lies elsewhere now.
  absl::StatusOr<lory::v1::Dataset> MoveDataset(
      const lory::v1::CreateDatasetRequest& request, lory::v1::Dataset dataset,
      const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // As registered, with what is known about its files now.
  lory::v1::Dataset LookAtDataset(lory::v1::Dataset dataset) const;
  absl::StatusOr<lory::v1::Checkpoint> FindCheckpoint(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string CheckpointsFolder(const std::string& job) const;
  // What manifest.json says of `job`; all but the checkpoint itself.
  data::CheckpointManifest StartManifest(const JobState& job) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes manifest.json with `checkpoint`, whose hash it fills in.
  absl::Status WriteManifest(data::CheckpointManifest manifest,
                             lory::v1::Checkpoint& checkpoint) const;
  // Journals a checkpoint whose manifest was written for `job`, unless the
  // world went on meanwhile; errors as those of PlanPart.
  absl::StatusOr<lory::v1::Checkpoint> CommitWritten(
      const lory::v1::CommitCheckpointRequest& request, const JobState& job,
      lory::v1::Checkpoint checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void QueueStaleFolders(const JobState& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SweepCheckpoints(const std::string& job);
  // Reads again what a trainer was told to restore and could not.
  void JudgeUnreadable();
  void TakeSampleClaims() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Goes on comparing what jobs trained with what they should have.
  void CheckSampleOrders();
  // Removes a folder that is to be deleted, unless somebody else does. What
  // fails is tried again by the housekeeping. Blocks for the disk.
  void RemoveFolder(const std::string& folder);

  const Options options_;
  Journal& journal_;
  Clock& clock_;
  io::Storage& storage_;
  EngineObserver* const observer_;  // null: nobody

  Mutex mutex_;
  CondVar changed_;
  CoordinatorState state_ ABSL_GUARDED_BY(mutex_);
  Sessions sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, Attached> streams_ ABSL_GUARDED_BY(mutex_);
  int64_t last_stream_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t change_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
  // Why jobs are where they are, beyond what the journal says.
  std::map<std::string, std::string> reasons_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::deque<LossPoint>> losses_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, SampleOrderCheck> sample_orders_
      ABSL_GUARDED_BY(mutex_);
  // Folders that nothing refers to any more.
  std::set<std::string> to_delete_ ABSL_GUARDED_BY(mutex_);
  // Those of them that somebody is removing at this moment: in to_delete_
  // until that is over, so that nobody puts new files there.
  std::set<std::string> being_removed_ ABSL_GUARDED_BY(mutex_);
  // Those of them that got new files meanwhile.
  std::set<std::string> remove_again_ ABSL_GUARDED_BY(mutex_);
  // Jobs that may have more checkpoints than are kept.
  std::set<std::string> retention_due_ ABSL_GUARDED_BY(mutex_);
  // Jobs whose checkpoint folders may hold leftovers.
  std::set<std::string> to_sweep_ ABSL_GUARDED_BY(mutex_);
  absl::Time datasets_looked_at_ ABSL_GUARDED_BY(mutex_);
  int64_t livelock_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool append_failed_ ABSL_GUARDED_BY(mutex_) = false;  // logged once
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_COORDINATOR_H_
