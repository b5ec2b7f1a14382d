#include "tests/support/fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/data/sample_digest.h"
#include "common/data/sequence_order.h"
#include "coordinator/state/invariants.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

namespace lory::testing {

using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

// Keeps the newest of what the coordinator says.
class FleetSink final : public coordinator::Sink {
 public:
  void Send(lory::v1::AttendResponse response) override {
    if (response.has_desired()) {
      desired = response.desired();
      has_desired = true;
    }
  }
  void Close(absl::Status status) override { closed = true; }

  lory::v1::DesiredState desired;
  bool has_desired = false;
  bool closed = false;
};

namespace {

constexpr char kDataset[] = "datasets/fleet";

std::string Endpoint(const FleetDaemon& daemon, int32_t slot,
                     const FleetTrainer& trainer) {
  return absl::StrCat(daemon.name, "/", slot, "/", trainer.incarnation);
}

std::string DigestOf(const FleetState& state) {
  return Sha256Bytes(absl::StrCat(state.applied_step, state.chain));
}

}  // namespace

Fleet::Fleet(Options options) : options_(std::move(options)) {
  lory::internal::v1::JournalRecord record;
  auto* dataset = record.mutable_dataset_created()->mutable_dataset();
  dataset->set_name(kDataset);
  dataset->set_state(lory::v1::Dataset::READY);
  dataset->set_manifest_path("/data/fleet/manifest.json");
  dataset->set_manifest_sha256(Sha256Hex("fleet"));
  dataset->set_sequence_length(64);
  dataset->set_vocabulary_size(256);
  dataset->set_tokenizer_sha256(Sha256Hex("tokenizer"));
  dataset->add_domains("news");
  dataset->set_sequence_count(options_.sequence_count);
  LORY_CHECK(journal_.Append({&record, 1}).ok());
  LORY_CHECK(storage_.Write("/data/fleet/manifest.json", "fleet").ok());
  StartCoordinator();
}

Fleet::~Fleet() = default;

void Fleet::AddWorker(const std::string& name, int slots) {
  FleetDaemon& daemon = daemons_[name];
  daemon.name = name;
  daemon.slots = slots;
  daemon.incarnation = absl::StrCat("daemon-", next_incarnation_++);
}

lory::v1::JobSpec Fleet::Spec(int min_workers, int max_workers, int64_t steps) {
  lory::v1::JobSpec spec;
  spec.set_dataset(kDataset);
  auto* model = spec.mutable_model();
  model->set_vocabulary_size(256);
  model->set_layer_count(2);
  model->set_width(32);
  model->set_head_count(4);
  model->set_sequence_length(64);
  model->mutable_feed_forward()->mutable_lory()->set_expert_count(4);
  model->mutable_feed_forward()->mutable_lory()->set_segment_length(16);
  spec.mutable_optimizer()->set_peak_learning_rate(1e-3);
  spec.set_step_count(steps);
  spec.set_micro_batch_count(std::max(4, max_workers));
  spec.set_micro_batch_sequences(2);
  spec.set_seed(7);
  spec.set_min_workers(min_workers);
  spec.set_max_workers(max_workers);
  spec.mutable_checkpoint()->set_every_steps(5);
  return spec;
}

absl::StatusOr<lory::v1::Job> Fleet::Submit(const std::string& id,
                                            lory::v1::JobSpec spec) {
  lory::v1::CreateJobRequest request;
  request.set_job_id(id);
  *request.mutable_spec() = std::move(spec);
  absl::StatusOr<lory::v1::Job> job = core_->CreateJob(request);
  if (!job.ok()) return job;
  traces_.erase(job->name());
  deleted_up_to_[job->name()] = job->generation();
  return job;
}

lory::v1::Job Fleet::Job(const std::string& id) {
  const auto job = core_->GetJob(absl::StrCat("jobs/", id));
  return job.ok() ? *job : lory::v1::Job();
}

bool Fleet::RunUntilState(const std::string& id, lory::v1::Job::State state,
                          int most) {
  return RunUntil([&] { return core_ && Job(id).state() == state; }, most);
}

// ---- faults ----

void Fleet::EndTrainer(FleetDaemon& daemon, int32_t slot, int exit_status) {
  const auto found = daemon.trainers.find(slot);
  if (found == daemon.trainers.end()) return;
  TrainerStatus status;
  status.set_job(found->second.order.job());
  status.set_slot(slot);
  status.set_incarnation(found->second.incarnation);
  status.set_phase(TrainerStatus::EXITED);
  status.set_exit_status(exit_status);
  status.set_error(absl::StrCat("exit status ", exit_status));
  status.set_applied_step(found->second.state.applied_step);
  daemon.ended.push_back(std::move(status));
  daemon.trainers.erase(found);
}

void Fleet::KillTrainer(const std::string& worker, int slot) {
  EndTrainer(daemons_[worker], slot, 137);
}

void Fleet::KillDaemon(const std::string& worker) {
  FleetDaemon& daemon = daemons_[worker];
  daemon.alive = false;
  daemon.trainers.clear();
  daemon.ended.clear();
  daemon.parts.clear();
  daemon.has_desired = false;
  daemon.desired.Clear();
  if (daemon.stream != 0 && core_ != nullptr && !daemon.cut_off) {
    core_->Detach(daemon.stream, "the daemon died");
  }
  daemon.stream = 0;
  daemon.sink.reset();
}

void Fleet::ReviveDaemon(const std::string& worker) {
  FleetDaemon& daemon = daemons_[worker];
  if (daemon.alive) return;
  daemon.alive = true;
  daemon.unfit.clear();
  daemon.incarnation = absl::StrCat("daemon-", next_incarnation_++);
}

void Fleet::BreakStream(const std::string& worker) {
  FleetDaemon& daemon = daemons_[worker];
  if (daemon.stream != 0 && core_ != nullptr) {
    core_->Detach(daemon.stream, "the wire broke");
  }
  daemon.stream = 0;
}

void Fleet::CutOff(const std::string& worker, bool cut_off) {
  daemons_[worker].cut_off = cut_off;
  if (!cut_off) BreakStream(worker);
}

void Fleet::FailNextStep(const std::string& id, std::set<int> appliers) {
  step_faults_[absl::StrCat("jobs/", id)] = std::move(appliers);
}

void Fleet::CrashCoordinator() {
  core_.reset();
  checked_.reset();
  for (auto& [name, daemon] : daemons_) {
    daemon.stream = 0;
    daemon.sink.reset();
  }
}

void Fleet::StartCoordinator() {
  auto core = coordinator::Coordinator::Create(
      {.plan = options_.plan, .storage_root = "/storage"}, journal_, clock_,
      storage_);
  LORY_CHECK(core.ok());
  core_ = *std::move(core);
}

// ---- daemons ----

lory::v1::AttendRequest Fleet::Report(FleetDaemon& daemon, bool hello) {
  lory::v1::AttendRequest request;
  if (hello) {
    request.mutable_hello()->set_worker_id(daemon.name);
    request.mutable_hello()->set_incarnation(daemon.incarnation);
    request.mutable_hello()->mutable_description()->set_control_endpoint(
        absl::StrCat(daemon.name, ":7450"));
    request.mutable_hello()->mutable_description()->set_slot_count(
        daemon.slots);
  }
  for (const TrainerStatus& status : daemon.ended) {
    *request.add_trainers() = status;
  }
  for (const auto& [slot, trainer] : daemon.trainers) {
    TrainerStatus* status = request.add_trainers();
    status->set_job(trainer.order.job());
    status->set_slot(slot);
    status->set_incarnation(trainer.incarnation);
    status->set_phase(trainer.phase);
    status->set_generation(trainer.generation);
    status->set_applied_step(trainer.state.applied_step);
    if (trainer.phase == TrainerStatus::PREPARED) {
      status->set_state_digest(DigestOf(trainer.state));
      status->set_listen_endpoint(Endpoint(daemon, slot, trainer));
    }
    const bool runs = trainer.order.phase() == Assignment::RUN &&
                      trainer.order.generation() == trainer.generation;
    if (runs) *status->mutable_round() = trainer.order.round();
    status->set_failed_rank(static_cast<int32_t>(trainer.failed_rank));
    status->set_error(trainer.phase == TrainerStatus::FAILED
                          ? daemon.unfit
                          : trainer.complaint);
    status->set_error_is_permanent(trainer.phase == TrainerStatus::FAILED &&
                                   daemon.unfit_for_good);
    status->set_error_is_of_job(daemon.diverges);
    status->set_progress_counter(trainer.progress);
    status->set_checkpoint_order(trainer.checkpoint_order);
    status->set_micro_batch_seconds(0.05);
    status->mutable_progress()->set_step(
        std::max<int64_t>(trainer.state.applied_step, 0));
    status->mutable_progress()->mutable_step_times()->set_total_seconds(0.1);
    status->mutable_progress()->set_sample_digest(trainer.state.chain);
    if (trainer.phase == TrainerStatus::FINISHED) {
      auto* evaluation = status->mutable_progress()->mutable_evaluation();
      evaluation->set_step(trainer.state.applied_step);
      evaluation->add_domains()->set_domain("news");
      evaluation->mutable_overall()->set_perplexity(12.5);
    }
    if (trainer.failed_checkpoint) {
      *status->mutable_failed_checkpoint() = *trainer.failed_checkpoint;
    }
  }
  daemon.ended.clear();
  return request;
}

void Fleet::Attach(FleetDaemon& daemon) {
  auto sink = std::make_shared<FleetSink>();
  const lory::v1::AttendRequest hello = Report(daemon, /*hello=*/true);
  const auto stream = core_->Attach(hello, sink);
  if (!stream.ok()) return;
  daemon.stream = *stream;
  daemon.sink = std::move(sink);
}

void Fleet::MoveDaemon(FleetDaemon& daemon) {
  if (!daemon.alive) return;
  if (core_ != nullptr && !daemon.cut_off) {
    if (daemon.stream == 0) Attach(daemon);
    if (daemon.stream != 0) {
      core_->Receive(daemon.stream, Report(daemon, /*hello=*/false));
      if (daemon.sink->has_desired) {
        daemon.desired = daemon.sink->desired;
        daemon.has_desired = true;
      }
      if (daemon.sink->closed) daemon.stream = 0;
    }
  }
  Obey(daemon);
}

void Fleet::Obey(FleetDaemon& daemon) {
  if (!daemon.has_desired) return;
  std::set<int32_t> named;
  for (const Assignment& assignment : daemon.desired.assignments()) {
    named.insert(assignment.slot());
    const auto found = daemon.trainers.find(assignment.slot());
    if (found != daemon.trainers.end() &&
        found->second.order.job() != assignment.job()) {
      EndTrainer(daemon, assignment.slot(), 143);
      continue;
    }
    Order(daemon, assignment);
  }
  std::vector<int32_t> unnamed;
  for (const auto& [slot, trainer] : daemon.trainers) {
    if (named.count(slot) == 0) unnamed.push_back(slot);
  }
  for (const int32_t slot : unnamed) EndTrainer(daemon, slot, 143);
}

void Fleet::AnswerPrepare(FleetTrainer& trainer) {
  trainer.generation = trainer.order.generation();
  trainer.running = 0;
  trainer.connected = false;
  trainer.left = false;
  trainer.busy_moves = 0;
  trainer.failed_rank = -1;
  trainer.phase = TrainerStatus::PREPARED;
}

void Fleet::Order(FleetDaemon& daemon, const Assignment& assignment) {
  auto [it, is_new] = daemon.trainers.try_emplace(assignment.slot());
  FleetTrainer& trainer = it->second;
  if (is_new) {
    trainer.incarnation = absl::StrCat("trainer-", next_incarnation_++);
    trainer.start_moves = options_.start_moves;
  }
  trainer.order = assignment;
  if (trainer.phase == TrainerStatus::STARTING) {
    if (--trainer.start_moves >= 0) return;
    trainer.phase =
        daemon.unfit.empty() ? TrainerStatus::READY : TrainerStatus::FAILED;
  }
  if (trainer.phase == TrainerStatus::FAILED) return;
  if (assignment.phase() == Assignment::PREPARE &&
      assignment.generation() > trainer.generation) {
    // A planned change waits for the end of the step, on all ranks alike.
    if (assignment.urgent() || !IsTraining(trainer) || !trainer.connected ||
        trainer.left) {
      AnswerPrepare(trainer);
    }
  } else if (assignment.phase() == Assignment::RUN &&
             assignment.generation() == trainer.generation &&
             trainer.phase == TrainerStatus::PREPARED) {
    trainer.running = assignment.generation();
    trainer.connected = false;
    trainer.left = false;
    trainer.round.Clear();
    trainer.phase = TrainerStatus::TRAINING;
  }
}

void Fleet::CommitParts(FleetDaemon& daemon) {
  if (!daemon.alive || daemon.cut_off || core_ == nullptr) return;
  // What happens while one is being committed may add others.
  std::vector<lory::v1::CommitCheckpointRequest> waiting;
  for (const auto& request : std::exchange(daemon.parts, {})) {
    const auto answer = core_->CommitCheckpoint(request);
    if (answer.ok()) {
      if (answer->state() == lory::v1::Checkpoint::WRITING) {
        waiting.push_back(request);
      }
    } else if (ReasonOf(answer.status()) == "GENERATION_FENCED") {
      const absl::Status removed = storage_.Remove(
          absl::StrCat("/storage/", request.job(), "/checkpoints/",
                       request.folder(), "/", request.part().file()));
      LORY_CHECK(removed.ok());
    } else if (!absl::IsNotFound(answer.status())) {
      waiting.push_back(request);
    }
  }
  daemon.parts.insert(daemon.parts.begin(), waiting.begin(), waiting.end());
}

void Fleet::Round(absl::Duration time) {
  for (auto& [name, daemon] : daemons_) MoveDaemon(daemon);
  MoveTrainers();
  for (auto& [name, daemon] : daemons_) {
    CommitParts(daemon);
    MoveDaemon(daemon);
  }
  clock_.Advance(time);
  if (core_ != nullptr) {
    core_->Tick();
    core_->DoHousekeeping();
  }
}

// ---- what must be true ----

std::string Fleet::FaultlessChain(const lory::v1::JobSpec& spec,
                                  int64_t steps) const {
  std::string chain = data::InitialDigest();
  const int64_t batch =
      int64_t{spec.micro_batch_count()} * spec.micro_batch_sequences();
  for (int64_t step = 0; step < steps; ++step) {
    chain = data::NextDigest(
        chain, step,
        data::ExpectedFingerprintSum(static_cast<uint64_t>(spec.seed()),
                                     options_.sequence_count, step, batch));
  }
  return chain;
}

std::string Fleet::CheckTrace(const std::string& job,
                              const lory::v1::JobSpec& spec) {
  // Where each started generation began: later ones take steps back.
  std::map<int64_t, int64_t> starts;
  for (const auto& record : journal_.records()) {
    if (record.has_generation_started() &&
        record.generation_started().job() == job) {
      starts[record.generation_started().generation()] =
          record.generation_started().start_step();
    } else if (record.has_job_deleted() && record.job_deleted().job() == job) {
      starts.clear();
    }
  }
  std::map<int64_t, std::string> counting;
  for (const auto& [step, line] : traces_[job]) {
    const bool taken_back =
        std::any_of(starts.begin(), starts.end(),
                    [at = step, own = line.generation](const auto& later) {
                      return later.first > own && later.second <= at;
                    });
    if (starts.count(line.generation) == 0) {
      return absl::StrCat("step ", step, " was applied in generation ",
                          line.generation, ", which never started");
    }
    if (taken_back) continue;
    auto [it, is_new] = counting.emplace(step, line.chain);
    if (!is_new && it->second != line.chain) {
      return absl::StrCat("two chains count for step ", step);
    }
  }
  std::string chain = data::InitialDigest();
  const int64_t batch =
      int64_t{spec.micro_batch_count()} * spec.micro_batch_sequences();
  for (int64_t step = 0; step < spec.step_count(); ++step) {
    chain = data::NextDigest(
        chain, step,
        data::ExpectedFingerprintSum(static_cast<uint64_t>(spec.seed()),
                                     options_.sequence_count, step, batch));
    const auto found = counting.find(step);
    if (found == counting.end()) return absl::StrCat("step ", step, " is lost");
    if (found->second != chain) {
      return absl::StrCat("step ", step, " trained other samples");
    }
  }
  return "";
}

std::string Fleet::Audit(const std::string& id) {
  const std::string job = absl::StrCat("jobs/", id);
  std::string wrong;
  core_->Inspect([&](const coordinator::CoordinatorState& state,
                     const coordinator::Sessions&) {
    const coordinator::JobState& found = *state.FindJob(job);
    wrong = CheckTrace(job, found.spec);
    for (const auto& [step, checkpoint] : found.checkpoints) {
      if (checkpoint.sample_digest() != FaultlessChain(found.spec, step)) {
        wrong = absl::StrCat(checkpoint.name(), " holds another chain");
      }
      if (checkpoint.state() != lory::v1::Checkpoint::COMMITTED) continue;
      for (const auto& part : checkpoint.parts()) {
        const auto bytes =
            storage_.Read(absl::StrCat(checkpoint.folder(), "/", part.file()));
        if (!bytes.ok() || Sha256Hex(*bytes) != part.sha256()) {
          wrong = absl::StrCat(checkpoint.name(), " lacks ", part.file());
        }
      }
    }
  });
  return wrong;
}

std::string Fleet::CheckInvariants() {
  if (core_ == nullptr) return "";
  if (core_->livelock_count() > 0) return "plans undo each other";
  std::string wrong;
  core_->Inspect([&](const coordinator::CoordinatorState& state,
                     const coordinator::Sessions& sessions) {
    wrong = coordinator::FindViolation(state);
    if (wrong.empty()) wrong = coordinator::FindViolation(state, sessions);
    if (wrong.empty() && checked_) {
      wrong = coordinator::FindViolationBetween(*checked_, state);
    }
    coordinator::CoordinatorState replayed;
    for (const auto& record : journal_.records()) {
      if (const absl::Status applied = replayed.Apply(record); !applied.ok()) {
        wrong = absl::StrCat("replay: ", applied.message());
      }
    }
    if (wrong.empty() &&
        coordinator::Describe(replayed) != coordinator::Describe(state)) {
      wrong = "a replay of the journal gives another state";
    }
    checked_ = state;
  });
  return wrong;
}

}  // namespace lory::testing
