#ifndef LORY_COORDINATOR_STATE_COORDINATOR_STATE_H_
#define LORY_COORDINATOR_STATE_COORDINATOR_STATE_H_

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lory/internal/v1/journal.pb.h"
#include "lory/v1/checkpoint.pb.h"
#include "lory/v1/dataset.pb.h"
#include "lory/v1/job.pb.h"

// Everything the coordinator has promised. Plain data: no lock, no clock, no
// disk. Changed by Apply alone, so that replaying the journal rebuilds it.
namespace lory::coordinator {

// A device of a worker, where one trainer can be.
struct SlotKey {
  std::string worker;  // workers/{worker}
  int32_t slot = 0;
  auto operator<=>(const SlotKey&) const = default;
};

// "workers/a slot 0", for people.
std::string ToString(const SlotKey& key);

// The newest generation of a job.
struct GenerationState {
  enum class Phase { kNone, kOpened, kStarted, kEnded };

  int64_t number = 0;  // while kNone: JobState::generations_before
  Phase phase = Phase::kNone;
  std::vector<SlotKey> members;  // by rank
  std::string reason;            // why it was opened
  bool ended_by_fault = false;
  // The one before was ended by a fault: members leave it at once.
  bool urgent = false;

  bool Is(Phase wanted) const { return phase == wanted; }
  // Neither ended nor missing.
  bool live() const {
    return phase == Phase::kOpened || phase == Phase::kStarted;
  }
  // Rank of a slot; -1: no member.
  int RankOf(const SlotKey& key) const;
};

// The newest generation that started: the only one that may apply steps.
struct StartedGeneration {
  int64_t number = 0;  // 0: none yet
  std::vector<SlotKey> members;
  std::vector<std::string> peer_endpoints;
  std::string collective_token;
  int64_t start_step = 0;
  int32_t source_rank = -1;
  int64_t restored_checkpoint_step = -1;
  int RankOf(const SlotKey& key) const;
};

// One job.
struct JobState {
  static constexpr size_t kMaxEvents = 10'000;

  std::string name;          // jobs/{job}
  int64_t create_order = 0;  // 1 for the first job ever created
  lory::v1::JobSpec spec;
  // Of the dataset's manifest when the job was created: its identity.
  std::string dataset_sha256;
  // What it begins from, with the path of its folder; nothing: random weights.
  std::optional<lory::v1::Checkpoint> initial_checkpoint;
  lory::v1::Job::State state = lory::v1::Job::QUEUED;
  std::string reason;
  // FAILED: because of what it computes, so that it would fail again.
  bool error_is_of_job = false;
  // The last generation of the deleted job that had this name; 0: none had.
  int64_t generations_before = 0;
  GenerationState generation;
  StartedGeneration started;
  // It was queued, paused or ended since the newest generation was opened: the
  // slots of that one's members may be anybody's.
  bool slots_let_go = false;
  int64_t recovery_count = 0;
  // Calendar times, for people.
  absl::Time create_time;
  std::optional<absl::Time> start_time;
  std::optional<absl::Time> end_time;
  absl::Time state_time;  // when it came into its state
  // Paused or in the queue, since start_time.
  absl::Duration idle_time;
  std::optional<absl::Time> fault_time;  // of the fault being recovered from

  std::map<int64_t, lory::v1::Checkpoint> checkpoints;  // by step
  // Steps of those that a newer generation began below: it trained their steps
  // again, so that they are no part of the job's history.
  std::set<int64_t> overtaken;
  std::optional<lory::v1::Evaluation> evaluation;  // the newest
  // As it was when the job last let its slots go, without the evaluation.
  lory::v1::JobProgress progress;
  // Generation and step of the newest CHECKPOINT_FAILED.
  std::pair<int64_t, int64_t> failed_checkpoint = {0, -1};

  std::deque<lory::v1::JobEvent> events;  // the newest kMaxEvents
  int64_t event_count = 0;                // ever

  // The newest COMMITTED checkpoint; null: none.
  const lory::v1::Checkpoint* NewestCheckpoint() const;
};

// A call that was answered, so that its repetition is answered alike.
struct AnsweredRequest {
  std::string method;
  std::string resource;
  std::string request_hash;
};

struct CoordinatorState {
  static constexpr size_t kMaxRequests = 10'000;
  static constexpr size_t kMaxDeletedJobs = 10'000;

  std::map<std::string, JobState> jobs;  // by name
  std::map<std::string, lory::v1::Dataset> datasets;
  std::set<std::string> draining_workers;           // names
  std::map<std::string, AnsweredRequest> requests;  // by request id
  std::deque<std::string> request_order;            // oldest first
  // The last generation of deleted jobs, by name: the next job of that name
  // goes on from there, so that what is left of the old one stays fenced off.
  // When there are too many, the highest of all counts for every name.
  std::map<std::string, int64_t> deleted_generations;
  int64_t highest_deleted_generation = 0;
  int64_t jobs_created = 0;
  int64_t records_applied = 0;

  const JobState* FindJob(const std::string& name) const;
  // A job that may still have to read the checkpoint of this name, to begin
  // from it; null: none. The first of its own may turn out damaged: it is the
  // second that sets the other free.
  const JobState* FindBeginner(const std::string& checkpoint) const;
  // The generation that the first of a new job of this name follows.
  int64_t GenerationsBefore(const std::string& name) const;

  // The only way this changes. All or nothing.
  //
  // DATA_LOSS: the record cannot follow what was applied so far; says why.
  absl::Status Apply(const lory::internal::v1::JournalRecord& record);
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_STATE_COORDINATOR_STATE_H_
