#include "worker/train/training_loop.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/device/cpu.h"
#include "worker/train/progress_report.h"

namespace lory::train {
namespace {

using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

// How long ranks without a round go without exchanging words.
constexpr absl::Duration kWaitInterval = absl::Milliseconds(200);
// Between attempts to write the checkpoint that a job ends with.
constexpr absl::Duration kRetryInterval = absl::Seconds(5);
// How often a trainer that waits for its disk looks for orders.
constexpr absl::Duration kLook = absl::Milliseconds(100);

// A peer that breaks the protocol is as lost as one that is gone: this rank's
// own state is whole, so it goes on in another generation.
absl::Status AsLostPeer(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kInternal) return status;
  return absl::UnavailableError(status.message());
}

}  // namespace

TrainingLoop::TrainingLoop(JobContext& job, int64_t generation,
                           ControlBoard& board,
                           lory::collective::Communicator& communicator,
                           lory::checkpoint::CheckpointWriter& checkpoints,
                           Clock& clock, LoopMemory& memory,
                           TrainingState& state)
    : job_(job),
      generation_(generation),
      board_(board),
      communicator_(communicator),
      checkpoints_(checkpoints),
      clock_(clock),
      memory_(memory),
      state_(state),
      rounds_(communicator.world_size(), job.spec.micro_batch_count()) {}

absl::StatusOr<TrainingLoop::End> TrainingLoop::Run() {
  memory_.meter.Interrupt();
  while (state_.step < job_.spec.step_count()) {
    LORY_RETURN_IF_ERROR(CheckData(job_));
    const bool training = rounds_.current() != nullptr;
    LORY_ASSIGN_OR_RETURN(const Decision decision, training ? Step() : Wait());

    // What any rank was told takes effect for all, here.
    if (decision.leave) return End::kLeft;
    if (state_.step == job_.spec.step_count()) break;
    const int64_t every = job_.spec.checkpoint().every_steps();
    const bool due = training && every > 0 && state_.step % every == 0;
    checkpoint_due_ |= due || decision.checkpoint;
    // While one is being written the next is put off, by all: a slow disk must
    // not hold training up.
    const bool saves = checkpoint_due_ && !decision.writing;
    if (saves || decision.stop) job_.check->LookAgain();
    if (decision.stop) {
      if (!SecureState(decision)) return End::kLeft;
      ReportPhase(TrainerStatus::STOPPED);
      return End::kStopped;
    }
    if (saves) Checkpoint(decision);
    const int64_t evaluate_every = job_.spec.evaluation().every_steps();
    if (training && evaluate_every > 0 && state_.step % evaluate_every == 0) {
      LORY_RETURN_IF_ERROR(Evaluate());
    }
    LORY_RETURN_IF_ERROR(AdvanceRounds(decision));
  }
  return Finish();
}

absl::StatusOr<Decision> TrainingLoop::Step() {
  const absl::Time start = clock_.MonotonicNow();
  const auto seconds_since = [&](absl::Time from) {
    return absl::ToDoubleSeconds(clock_.MonotonicNow() - from);
  };
  LORY_ASSIGN_OR_RETURN(
      LocalSums local,
      AccumulateGradient(job_.spec, state_, *job_.loader, OwnShare(), clock_,
                         [&] { board_.Progress(); }));
  Absorb();
  ControlWord word = Word();
  word.token_count = local.token_count;
  word.loss_sum = local.loss_sum;
  word.auxiliary_sum = local.auxiliary_sum;
  word.fingerprint_sum = local.fingerprint_sum;
  word.compute_seconds = seconds_since(start);

  const absl::Time reducing = clock_.MonotonicNow();
  const absl::StatusOr<ReducedStep> reduced =
      ReduceStep(state_, local.routing, word, communicator_);
  if (!reduced.ok()) return AsLostPeer(reduced.status());

  // From here to the end of ApplyStep nothing can fail that a peer could cause.
  const absl::Time updating = clock_.MonotonicNow();
  const int64_t step = state_.step;
  const bool dense_phase = state_.model->is_dense_phase();
  LORY_ASSIGN_OR_RETURN(const StepResult result,
                        ApplyStep(job_.spec, reduced->decision, state_));
  job_.trace->Append(
      TraceLine(step, generation_, reduced->words,
                {rounds_.current()->shares().data(), reduced->words.size()},
                state_.chain));
  if (dense_phase && !state_.model->is_dense_phase()) {
    Log(LogLevel::kInfo, "the dense phase is over, experts begin",
        {{"step", state_.step}});
  }

  StepReport report{.end = clock_.MonotonicNow(),
                    .token_count = reduced->decision.token_count,
                    .micro_batches = OwnShare(),
                    .routing = reduced->routing};
  report.times.set_data_seconds(local.data_seconds);
  report.times.set_forward_seconds(local.forward_seconds);
  report.times.set_backward_seconds(local.backward_seconds);
  report.times.set_reduce_seconds(absl::ToDoubleSeconds(updating - reducing));
  report.times.set_update_seconds(absl::ToDoubleSeconds(report.end - updating));
  report.times.set_checkpoint_seconds(std::exchange(checkpoint_seconds_, 0));
  report.times.set_total_seconds(absl::ToDoubleSeconds(report.end - start) +
                                 report.times.checkpoint_seconds());
  ReportStep(*reduced, result, report);
  LORY_RETURN_IF_ERROR(CheckUpdates());
  return reduced->decision;
}

absl::Status TrainingLoop::CheckUpdates() const {
  const bool never_updated = state_.step == job_.spec.step_count() &&
                             state_.nonfinite_count == state_.step;
  if (!never_updated && state_.nonfinite_in_row < job_.nonfinite_step_limit) {
    return absl::OkStatus();
  }
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, "DIVERGED",
      absl::StrCat("loss or gradient was not finite in ",
                   never_updated
                       ? absl::StrCat("any of the ", state_.step,
                                      " steps: no update was ever applied")
                       : absl::StrCat(state_.nonfinite_in_row,
                                      " steps in a row, the last one step ",
                                      state_.step - 1),
                   "; lower optimizer.learning_rate or optimizer.clip_norm, or "
                   "look at the data of these steps and the weights they began "
                   "from, and submit the job anew"));
}

absl::StatusOr<Decision> TrainingLoop::Wait() {
  Absorb();
  const auto has_news = [&] {
    return leave_ || stop_ || checkpoint_held_ > memory_.checkpoint_acted ||
           rounds_.holds_next();
  };
  ReportPhase(TrainerStatus::WAITING);
  if (!has_news()) {
    board_.AwaitNews(order_seen_, kWaitInterval);
    Absorb();
  }
  const absl::StatusOr<ReducedStep> reduced =
      ReduceWords(Word(), communicator_);
  if (!reduced.ok()) return AsLostPeer(reduced.status());
  board_.Progress();
  return reduced->decision;
}

void TrainingLoop::Absorb() {
  if (board_.newest_number() == order_seen_) return;
  const ControlBoard::Order newest = board_.Newest();
  order_seen_ = newest.number;
  const Assignment& assignment = newest.assignment();
  checkpoints_.Delete(job_.folder, {newest.order.parts_to_delete().begin(),
                                    newest.order.parts_to_delete().end()});
  stop_ = assignment.stop() == Assignment::AFTER_CHECKPOINT;
  checkpoint_held_ = std::max(checkpoint_held_, assignment.checkpoint_order());
  if (assignment.phase() != Assignment::RUN ||
      assignment.generation() != generation_) {
    leave_ = true;
  } else if (assignment.has_round()) {
    rounds_.Hold(assignment.round());
    board_.Report([&](TrainerStatus& status) {
      *status.mutable_round() = assignment.round();
    });
  }
}

ControlWord TrainingLoop::Word() const {
  ControlWord word;
  word.leave = leave_;
  word.stop = stop_;
  word.writing = !checkpoints_.WaitUntilIdle(absl::ZeroDuration());
  word.checkpoint_held = checkpoint_held_;
  word.checkpoint_acted = memory_.checkpoint_acted;
  word.round_held = rounds_.newest_held();
  word.resident_bytes = lory::device::ResidentBytes();
  return word;
}

int64_t TrainingLoop::OwnShare() const {
  return rounds_.current()->shares(communicator_.rank());
}

absl::Status TrainingLoop::AdvanceRounds(const Decision& decision) {
  bool began = false;
  LORY_RETURN_IF_ERROR(
      AsLostPeer(rounds_.Advance(state_.step, decision.common_round, &began)));
  if (!began) return absl::OkStatus();
  const lory::v1::Round& round = *rounds_.current();
  int64_t first = 0;
  for (int rank = 0; rank < communicator_.rank(); ++rank) {
    first += round.shares(rank);
  }
  const int64_t end =
      std::min(round.first_step() + round.step_count(), job_.spec.step_count());
  job_.loader->Start({.first_step = round.first_step(),
                      .end_step = end,
                      .first = first,
                      .count = OwnShare()});
  ReportPhase(TrainerStatus::TRAINING);
  return absl::OkStatus();
}

void TrainingLoop::Checkpoint(const Decision& decision) {
  const absl::Time start = clock_.MonotonicNow();
  checkpoint_due_ = false;
  const absl::Status begun =
      checkpoints_.Begin({.job = job_.job,
                          .job_folder = job_.folder,
                          .step = state_.step,
                          .generation = generation_,
                          .index = communicator_.rank(),
                          .count = communicator_.world_size(),
                          .sample_digest = state_.chain,
                          .metadata = MetadataOf(state_)},
                         TensorsOf(state_));
  if (!begun.ok()) {
    // The next one tries again; training is worth more than this one.
    Log(LogLevel::kError, "no checkpoint",
        {{"step", state_.step}, {"reason", begun.message()}});
  }
  const double seconds = absl::ToDoubleSeconds(clock_.MonotonicNow() - start);
  checkpoint_seconds_ += seconds;
  memory_.stall_seconds += seconds;
  ++memory_.stall_count;
  memory_.checkpoint_acted =
      std::max(memory_.checkpoint_acted, decision.checkpoint_order);
  board_.Report([&](TrainerStatus& status) {
    status.set_checkpoint_order(memory_.checkpoint_acted);
    status.set_checkpoint_stall_seconds(
        memory_.stall_seconds / static_cast<double>(memory_.stall_count));
  });
}

bool TrainingLoop::SecureState(const Decision& decision) {
  const auto written_before_leaving = [&] {
    while (!checkpoints_.WaitUntilIdle(kLook)) {
      board_.Progress();
      Absorb();
      if (leave_ || board_.closed()) return false;
    }
    return true;
  };
  if (!written_before_leaving()) return false;
  for (;;) {
    Checkpoint(decision);
    if (!written_before_leaving()) return false;
    const absl::Status written = checkpoints_.last_result();
    // Lines may have waited for the same disk; the trainer may end now.
    if (written.ok() && FlushLines(job_)) return true;
    const absl::Time again = clock_.MonotonicNow() + kRetryInterval;
    while (clock_.MonotonicNow() < again) {
      board_.AwaitNews(order_seen_, kLook);
      Absorb();
      if (leave_ || board_.closed()) return false;
    }
  }
}

absl::Status TrainingLoop::Evaluate() {
  if (!job_.evaluator->has_text()) return absl::OkStatus();
  LORY_ASSIGN_OR_RETURN(
      lory::v1::Evaluation evaluation,
      job_.evaluator->Evaluate(*state_.model, communicator_, clock_, [&] {
        board_.Progress();
        return !board_.MustGiveUp(generation_);
      }));
  evaluation.set_step(state_.step);
  memory_.meter.Interrupt();
  if (communicator_.rank() == 0) {
    job_.evaluation_metrics->Append(EvaluationLine(generation_, evaluation));
  }
  board_.Report([&](TrainerStatus& status) {
    *status.mutable_progress()->mutable_evaluation() = evaluation;
  });
  return absl::OkStatus();
}

absl::StatusOr<TrainingLoop::End> TrainingLoop::Finish() {
  LORY_RETURN_IF_ERROR(Evaluate());
  job_.check->LookAgain();
  while (!job_.check->WaitUntilDone(kLook)) {
    board_.Progress();
    Absorb();
    if (leave_ || board_.closed()) return End::kLeft;
  }
  LORY_RETURN_IF_ERROR(CheckData(job_));
  const bool evaluates = job_.spec.kind() == lory::v1::JobSpec::EVALUATE;
  if (!evaluates && !SecureState({})) return End::kLeft;
  ReportPhase(TrainerStatus::FINISHED);
  return End::kFinished;
}

void TrainingLoop::ReportStep(const ReducedStep& reduced,
                              const StepResult& result,
                              const StepReport& step) {
  memory_.meter.Add(step);
  lory::v1::JobProgress progress = DescribeProgress(
      job_, state_, reduced.decision, result, step.times, memory_.meter);
  if (communicator_.rank() == 0) {
    job_.step_metrics->Append(MetricsLine(generation_, progress));
  }
  board_.Report([&](TrainerStatus& status) {
    if (status.progress().has_evaluation()) {
      *progress.mutable_evaluation() = status.progress().evaluation();
    }
    *status.mutable_progress() = std::move(progress);
    status.set_applied_step(state_.step);
    status.set_micro_batch_seconds(memory_.meter.micro_batch_seconds());
  });
}

void TrainingLoop::ReportPhase(TrainerStatus::Phase phase) {
  board_.Report([&](TrainerStatus& status) {
    status.set_phase(phase);
    status.set_applied_step(state_.step);
  });
}

}  // namespace lory::train
