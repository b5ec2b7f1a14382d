#include "tests/support/fake_trainer/fake_trainer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/data/sample_digest.h"
#include "worker/collective/ring_transport.h"

namespace lory::testing {
namespace {

using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

constexpr absl::Duration kIdle = absl::Seconds(1);
// Between reductions while no round is held.
constexpr absl::Duration kWaitingPause = absl::Milliseconds(100);

int64_t LabelNumber(const lory::v1::JobSpec& spec, const std::string& label,
                    int64_t otherwise) {
  const auto found = spec.labels().find(label);
  int64_t value = otherwise;
  if (found != spec.labels().end()) {
    (void)absl::SimpleAtoi(found->second, &value);
  }
  return value;
}

TrainerStatus FirstStatus(const FakeTrainer::Options& options) {
  TrainerStatus status;
  status.set_job(options.job);
  status.set_slot(options.slot);
  status.set_incarnation(options.incarnation);
  status.set_phase(TrainerStatus::STARTING);
  status.set_applied_step(-1);
  status.set_failed_rank(-1);
  return status;
}

bool IsLeave(const Assignment& newest, int64_t generation) {
  return newest.phase() == Assignment::PREPARE &&
         newest.generation() > generation;
}

}  // namespace

std::string FakeTrainer::Words::Serialize() const {
  return absl::StrCat(leave ? 1 : 0, " ", stop ? 1 : 0, " ", checkpoint_order,
                      " ", newest_round, " ", sum);
}

FakeTrainer::Words FakeTrainer::Words::Parse(const std::string& text) {
  const std::vector<std::string> fields = absl::StrSplit(text, ' ');
  LORY_CHECK(fields.size() == 5);
  Words words;
  words.leave = fields[0] == "1";
  words.stop = fields[1] == "1";
  LORY_CHECK(absl::SimpleAtoi(fields[2], &words.checkpoint_order) &&
             absl::SimpleAtoi(fields[3], &words.newest_round) &&
             absl::SimpleAtoi(fields[4], &words.sum));
  return words;
}

FakeTrainer::FakeTrainer(const Options& options)
    : options_(options),
      stream_(*new ControlStream(
          options.socket, FirstStatus(options),
          [this](const Assignment& assignment) { OnOrder(assignment); })) {}

void FakeTrainer::OnOrder(const Assignment& assignment) {
  if (assignment.phase() != Assignment::PREPARE || !assignment.urgent()) {
    return;
  }
  MutexLock lock(&mutex_);
  if (listener_ != nullptr && listener_generation_ < assignment.generation()) {
    listener_->Abort();
  }
}

void FakeTrainer::SetPhase(TrainerStatus::Phase phase) {
  stream_.Update([phase](TrainerStatus& status) { status.set_phase(phase); });
}

void FakeTrainer::Load(const Assignment& assignment) {
  const auto fail = assignment.spec().labels().find("fake-fail");
  if (fail != assignment.spec().labels().end()) {
    stream_.Update([&](TrainerStatus& status) {
      status.set_phase(TrainerStatus::FAILED);
      status.set_error(fail->second);
      status.set_error_is_permanent(true);
    });
    while (true) RealClock().SleepFor(kIdle);
  }
  sequence_count_ = 1000;  // without a dataset
  const auto manifest =
      data::ReadDatasetManifest(assignment.dataset_manifest_path());
  if (manifest.ok()) sequence_count_ = manifest->SequenceCount();
  Log(LogLevel::kInfo, "fake trainer ready",
      {{"job", options_.job}, {"sequences", sequence_count_}});
  SetPhase(TrainerStatus::READY);
}

void FakeTrainer::Run() {
  bool loaded = false;
  int64_t ran_generation = 0;
  while (true) {
    const Assignment newest = stream_.Newest();
    if (!loaded && newest.slot() == options_.slot && !newest.job().empty()) {
      Load(newest);
      loaded = true;
    }
    if (IsLeave(newest, generation_)) {
      Prepare(newest);
    } else if (newest.phase() == Assignment::RUN &&
               newest.generation() == generation_ &&
               ran_generation < generation_) {
      ran_generation = generation_;
      RunGeneration(newest);
    } else {
      stream_.Tick();
      stream_.WaitForChange(newest, kIdle);
    }
  }
}

void FakeTrainer::Prepare(const Assignment& assignment) {
  communicator_.reset();
  generation_ = assignment.generation();
  round_.Clear();
  auto listener = collective::RingTransport(options_.listen_host).Listen();
  LORY_CHECK(listener.ok());
  const std::string endpoint = (*listener)->endpoint();
  {
    MutexLock lock(&mutex_);
    listener_ = *std::move(listener);
    listener_generation_ = generation_;
  }
  stream_.Update([&](TrainerStatus& status) {
    status.set_phase(TrainerStatus::PREPARED);
    status.set_generation(generation_);
    status.set_listen_endpoint(endpoint);
    status.set_applied_step(state_ ? state_->step : -1);
    status.set_state_digest(state_ ? state_->Digest() : "");
    status.clear_round();
    status.clear_error();
    status.set_failed_rank(-1);
  });
}

absl::Status FakeTrainer::Meet(const Assignment& assignment) {
  std::shared_ptr<collective::Listener> listener;
  {
    MutexLock lock(&mutex_);
    listener = listener_;
  }
  collective::Membership membership = {
      .job = assignment.job(),
      .generation = assignment.generation(),
      .rank = assignment.rank(),
      .world_size = assignment.world_size(),
      .endpoints = {assignment.peer_endpoints().begin(),
                    assignment.peer_endpoints().end()},
      .token = assignment.collective_token()};
  LORY_ASSIGN_OR_RETURN(communicator_, listener->Connect(membership));
  return absl::OkStatus();
}

absl::Status FakeTrainer::ShareState(const Assignment& assignment) {
  if (assignment.source_rank() < 0) {
    LORY_ASSIGN_OR_RETURN(FakeState state, Restore(assignment));
    state_ = std::move(state);
  }
  const bool is_source = assignment.rank() == assignment.source_rank();
  LORY_ASSIGN_OR_RETURN(
      const std::vector<std::string> states,
      communicator_->AllGather(is_source || assignment.source_rank() < 0
                                   ? state_->Serialize()
                                   : std::string("-")));
  if (assignment.source_rank() >= 0) {
    LORY_ASSIGN_OR_RETURN(
        FakeState state,
        FakeState::Parse(
            states[static_cast<size_t>(assignment.source_rank())]));
    state_ = std::move(state);
  }
  LORY_CHECK(state_->step == assignment.start_step());
  last_checkpoint_step_ = -1;
  return absl::OkStatus();
}

void FakeTrainer::ReportBroken(const absl::Status& status) {
  int failed_rank = communicator_ ? communicator_->failed_rank() : -1;
  if (!communicator_) {
    MutexLock lock(&mutex_);
    failed_rank = listener_->failed_rank();
  }
  Log(LogLevel::kWarning, "collective failed",
      {{"generation", generation_}, {"error", status.message()}});
  stream_.Update([&](TrainerStatus& report) {
    report.set_phase(TrainerStatus::BROKEN);
    report.set_error(std::string(status.message()));
    report.set_failed_rank(failed_rank);
  });
}

void FakeTrainer::RunGeneration(const Assignment& assignment) {
  absl::Status status = Meet(assignment);
  if (status.ok()) status = ShareState(assignment);
  if (status.ok()) {
    stream_.Update([&](TrainerStatus& report) {
      report.set_phase(TrainerStatus::TRAINING);
      report.set_applied_step(state_->step);
    });
    status = TrainUntilLeave(assignment);
  }
  if (!status.ok()) ReportBroken(status);
}

absl::Status FakeTrainer::TrainUntilLeave(const Assignment& assignment) {
  while (true) {
    if (state_->step >= assignment.spec().step_count()) {
      CheckpointIfDue(assignment, {}, true);
      SetPhase(TrainerStatus::FINISHED);
      return absl::OkStatus();
    }
    LORY_ASSIGN_OR_RETURN(const Next next, Reduce(assignment));
    if (next == Next::kLeave) return absl::OkStatus();
  }
}

void FakeTrainer::Misbehave(const lory::v1::JobSpec& spec) {
  if (state_->step == LabelNumber(spec, "fake-exit-at-step", -1)) {
    std::fprintf(stderr, "fake trainer: told to exit at step %d\n",
                 static_cast<int>(state_->step));
    stream_.Flush();
    std::_Exit(3);
  }
  while (state_->step == LabelNumber(spec, "fake-hang-at-step", -1)) {
    RealClock().SleepFor(kIdle);
  }
}

absl::StatusOr<FakeTrainer::Next> FakeTrainer::Reduce(
    const Assignment& assignment) {
  const lory::v1::JobSpec& spec = assignment.spec();
  const bool stepping =
      round_.id() > 0 &&
      state_->step < round_.first_step() + round_.step_count();
  Words own;
  if (stepping) {
    Misbehave(spec);
    const int share = round_.shares(assignment.rank());
    learned_seconds_ =
        static_cast<double>(LabelNumber(spec, "fake-step-ms", 20)) / 1000 /
        spec.micro_batch_count();
    RealClock().SleepFor(absl::Seconds(learned_seconds_ * share));
    own.sum = FingerprintSum(spec, sequence_count_, state_->step,
                             assignment.rank(), round_);
  } else {
    stream_.WaitForChange(stream_.Newest(), kWaitingPause);
  }
  const Assignment newest = stream_.Newest();
  const auto rounds = stream_.RoundsOf(generation_);
  own.leave = IsLeave(newest, generation_);
  own.stop = newest.stop() == Assignment::AFTER_CHECKPOINT;
  own.checkpoint_order = newest.checkpoint_order();
  own.newest_round = rounds.empty() ? 0 : rounds.rbegin()->first;
  LORY_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                        communicator_->AllGather(own.Serialize()));
  std::vector<Words> all;
  Words told = {.newest_round = own.newest_round};
  for (const std::string& text : texts) {
    const Words& words = all.emplace_back(Words::Parse(text));
    told.leave |= words.leave;
    told.stop |= words.stop;
    told.checkpoint_order =
        std::max(told.checkpoint_order, words.checkpoint_order);
    told.newest_round = std::min(told.newest_round, words.newest_round);
  }
  if (stepping) Apply(assignment, all);
  const auto held = rounds.find(told.newest_round);
  if (held != rounds.end() && state_->step >= held->second.first_step()) {
    round_ = held->second;
  }
  CheckpointIfDue(assignment, told, stepping);
  stream_.Update([&](TrainerStatus& status) {
    const bool has_work =
        round_.id() > 0 &&
        state_->step < round_.first_step() + round_.step_count();
    status.set_phase(has_work ? TrainerStatus::TRAINING
                              : TrainerStatus::WAITING);
    if (!rounds.empty()) *status.mutable_round() = rounds.rbegin()->second;
    if (told.stop) status.set_phase(TrainerStatus::STOPPED);
  });
  return told.leave || told.stop ? Next::kLeave : Next::kGoOn;
}

void FakeTrainer::Apply(const Assignment& assignment,
                        const std::vector<Words>& all) {
  uint64_t sum = 0;
  for (const Words& words : all) sum += words.sum;
  state_->digest = data::NextDigest(state_->digest, state_->step, sum);
  WriteTrace(all);
  ++state_->step;
  const lory::v1::JobSpec& spec = assignment.spec();
  const double seconds = learned_seconds_ * spec.micro_batch_count();
  stream_.Update([&](TrainerStatus& status) {
    status.set_applied_step(state_->step);
    status.set_micro_batch_seconds(learned_seconds_);
    lory::v1::JobProgress& progress = *status.mutable_progress();
    progress.set_step(state_->step);
    progress.set_step_count(spec.step_count());
    progress.set_loss(1 +
                      5 * std::exp(-static_cast<double>(state_->step) / 50));
    progress.set_tokens_per_second(
        seconds > 0 ? spec.micro_batch_count() * spec.micro_batch_sequences() *
                          64 / seconds
                    : 0);
    progress.set_sample_digest(state_->digest);
    progress.mutable_step_times()->set_total_seconds(seconds);
  });
}

void FakeTrainer::WriteTrace(const std::vector<Words>& all) {
  const std::string folder = stream_.Newest().job_folder() + "/trace";
  std::filesystem::create_directories(folder);
  const std::string path =
      absl::StrCat(folder, "/", options_.worker, "-", options_.slot, ".jsonl");
  const std::string sums =
      absl::StrJoin(all, ",", [](std::string* out, const Words& words) {
        absl::StrAppendFormat(out, "\"%016x\"", words.sum);
      });
  std::ofstream(path, std::ios::app) << absl::StrFormat(
      "{\"step\":%d,\"generation\":%d,\"sums\":[%s],\"shares\":[%s],"
      "\"digest\":\"%s\"}\n",
      state_->step, generation_, sums, absl::StrJoin(round_.shares(), ","),
      absl::BytesToHexString(state_->digest));
}

void FakeTrainer::CheckpointIfDue(const Assignment& assignment,
                                  const Words& told, bool applied) {
  const int64_t every = assignment.spec().checkpoint().every_steps();
  const bool ordered = told.checkpoint_order > checkpoint_order_;
  const bool due = ordered || told.stop ||
                   state_->step == assignment.spec().step_count() ||
                   (applied && every > 0 && state_->step % every == 0);
  checkpoint_order_ = std::max(checkpoint_order_, told.checkpoint_order);
  if (due && state_->step != last_checkpoint_step_) {
    const auto part = WritePart(*state_, assignment);
    if (part.ok()) {
      last_checkpoint_step_ = state_->step;
      stream_.AddPart(*part);
    } else {
      Log(LogLevel::kError, "checkpoint failed",
          {{"error", part.status().message()}});
    }
  }
  stream_.Update([this](TrainerStatus& status) {
    status.set_checkpoint_order(checkpoint_order_);
  });
}

}  // namespace lory::testing
