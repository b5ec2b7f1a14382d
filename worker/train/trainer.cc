#include "worker/train/trainer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/checkpoint/checkpoint_reader.h"
#include "worker/train/state_sync.h"
#include "worker/train/warm_up.h"

namespace lory::train {
namespace {

using ::lory::v1::Assignment;
using ::lory::v1::CommitCheckpointRequest;
using ::lory::v1::TrainerStatus;

// How long an idle trainer waits at most before it shows a sign of life.
constexpr absl::Duration kIdle = absl::Seconds(1);
// Peers may be reading a checkpoint; who is lost meanwhile, the coordinator
// sees, and it ends the wait with an urgent PREPARE.
constexpr absl::Duration kConnectLimit = absl::Minutes(15);
constexpr absl::Duration kDefaultTimeout = absl::Seconds(20);
// How a complaint begins that the next checkpoint takes back.
constexpr absl::string_view kNoCheckpoint = "the checkpoint of step ";

absl::Duration TimeoutOf(const lory::internal::v1::TrainerOrder& order) {
  if (!order.has_collective_timeout()) return kDefaultTimeout;
  const auto& timeout = order.collective_timeout();
  return std::max(
      absl::Seconds(timeout.seconds()) + absl::Nanoseconds(timeout.nanos()),
      absl::Milliseconds(1));
}

// What goes wrong between ranks is not this one's fault: it keeps its state and
// waits for another generation.
absl::Status AsLost(const absl::Status& status) {
  if (status.ok() || absl::IsAborted(status) ||
      absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status)) {
    return status;
  }
  return absl::UnavailableError(status.message());
}

bool RanksLostEachOther(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsAborted(status);
}

}  // namespace

Trainer::Trainer(std::string trace_name, ControlBoard& board,
                 lory::collective::Transport& transport,
                 lory::io::Storage& storage, Clock& clock,
                 int64_t check_first_bytes)
    : trace_name_(std::move(trace_name)),
      check_first_bytes_(check_first_bytes),
      board_(board),
      transport_(transport),
      storage_(storage),
      clock_(clock) {}

Trainer::~Trainer() { board_.SetAbort(generation_, nullptr); }

absl::Status Trainer::Run() {
  int64_t seen = 0;
  while (!board_.closed()) {
    const ControlBoard::Order order = board_.Newest();
    if (order.number == seen) {
      board_.AwaitNews(seen, kIdle);
      continue;
    }
    seen = order.number;
    absl::Status status = Follow(order);
    if (!status.ok() && job_ != nullptr) status = ExplainError(*job_, status);
    if (!status.ok()) {
      Log(LogLevel::kError, "the trainer cannot go on",
          {{"reason", status.ToString()}});
      board_.Report([&](TrainerStatus& report) {
        report.set_phase(TrainerStatus::FAILED);
        report.set_error(std::string(status.message()));
        report.set_error_is_permanent(IsPermanent(status));
        report.set_error_is_of_job(IsOfJob(status));
      });
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Trainer::Follow(const ControlBoard::Order& order) {
  const Assignment& assignment = order.assignment();
  if (job_ == nullptr) LORY_RETURN_IF_ERROR(Open(assignment));
  checkpoints_->Delete(job_->folder, {order.order.parts_to_delete().begin(),
                                      order.order.parts_to_delete().end()});
  switch (assignment.phase()) {
    case Assignment::STANDBY:
      ForgetGeneration();
      if (!std::exchange(warm_, true)) {
        LORY_RETURN_IF_ERROR(
            WarmUp(*job_, clock_, [this] { board_.Progress(); }));
      }
      board_.Report([&](TrainerStatus& status) {
        status.set_phase(TrainerStatus::READY);
      });
      return absl::OkStatus();
    case Assignment::PREPARE:
      if (assignment.generation() <= generation_) return absl::OkStatus();
      return Prepare(assignment);
    case Assignment::RUN:
      // A generation that was not prepared, or that has ended here, is not
      // run: the coordinator opens another.
      if (assignment.generation() != generation_ || ran_) {
        return absl::OkStatus();
      }
      return Outlive(RunGeneration(order));
    default:
      return absl::OkStatus();
  }
}

absl::Status Trainer::Open(const Assignment& assignment) {
  LORY_ASSIGN_OR_RETURN(job_,
                        OpenJob(assignment, trace_name_, check_first_bytes_,
                                [this] { board_.Progress(); }));
  checkpoints_ = std::make_unique<lory::checkpoint::CheckpointWriter>(
      storage_, [this](const lory::checkpoint::PartIdentity& identity,
                       const absl::StatusOr<CommitCheckpointRequest>& part) {
        if (part.ok()) {
          board_.AddWrittenPart(*part);
          board_.Report([](TrainerStatus& status) {
            if (absl::StartsWith(status.error(), kNoCheckpoint)) {
              status.clear_error();
            }
          });
          return;
        }
        board_.Report([&](TrainerStatus& status) {
          status.set_error(absl::StrCat(
              kNoCheckpoint, identity.step, " could not be written: ",
              part.status().message(), "; the one before stays"));
          lory::v1::FailedCheckpoint& failed =
              *status.mutable_failed_checkpoint();
          failed.set_step(identity.step);
          failed.set_generation(identity.generation);
          failed.set_error(std::string(part.status().message()));
        });
        Log(LogLevel::kError, "a checkpoint's part could not be written",
            {{"step", identity.step}, {"reason", part.status().ToString()}});
      });
  return absl::OkStatus();
}

void Trainer::ForgetGeneration() {
  board_.SetAbort(generation_, nullptr);
  communicator_.reset();
  listener_.reset();
  ran_ = true;
}

absl::Status Trainer::Prepare(const Assignment& assignment) {
  ForgetGeneration();
  generation_ = assignment.generation();
  auto listener = transport_.Listen();
  if (!listener.ok()) return AsLost(listener.status());
  listener_ = *std::move(listener);
  board_.SetAbort(generation_, [this] { listener_->Abort(); });
  ran_ = false;
  board_.Report([&](TrainerStatus& status) {
    status.set_phase(TrainerStatus::PREPARED);
    status.set_generation(generation_);
    status.set_listen_endpoint(listener_->endpoint());
    status.set_applied_step(state_.has_value() ? state_->step : -1);
    status.set_state_digest(state_.has_value() ? DigestOf(*state_) : "");
    status.clear_round();
    status.clear_error();
    status.set_failed_rank(-1);
    status.clear_unreadable_checkpoint();
  });
  return absl::OkStatus();
}

absl::Status Trainer::RunGeneration(const ControlBoard::Order& order) {
  const Assignment& assignment = order.assignment();
  ran_ = true;
  LORY_RETURN_IF_ERROR(RestoreState(assignment));
  LORY_RETURN_IF_ERROR(Connect(order));
  LORY_RETURN_IF_ERROR(ShareState(assignment));
  return Train();
}

absl::Status Trainer::RestoreState(const Assignment& assignment) {
  if (assignment.source_rank() >= 0) return absl::OkStatus();
  if (assignment.checkpoint().name().empty() &&
      assignment.checkpoint().parts().empty()) {
    return BeginState(assignment);
  }
  const absl::Status read = ReadCheckpoint(assignment.checkpoint());
  if (!absl::IsDataLoss(read) && !absl::IsNotFound(read)) return read;
  // Another one may be whole: the coordinator looks and decides.
  board_.Report([&](TrainerStatus& status) {
    status.set_unreadable_checkpoint(assignment.checkpoint().name());
  });
  return absl::UnavailableError(
      absl::StrCat(read.message(),
                   "; the job resumes from the checkpoint before as soon as "
                   "its coordinator finds this one damaged too"));
}

absl::Status Trainer::BeginState(const Assignment& assignment) {
  state_.reset();
  if (!assignment.has_initial_checkpoint()) {
    LORY_ASSIGN_OR_RETURN(state_, InitialState(job_->spec));
    return absl::OkStatus();
  }
  const lory::v1::Checkpoint& initial = assignment.initial_checkpoint();
  const auto begin = [&]() -> absl::Status {
    LORY_ASSIGN_OR_RETURN(const auto weights,
                          lory::checkpoint::CheckpointReader::Open(
                              "", initial, [this] { board_.Progress(); }));
    LORY_ASSIGN_OR_RETURN(state_, InitialState(job_->spec, *weights));
    return absl::OkStatus();
  };
  const absl::Status begun = begin();
  if (absl::IsNotFound(begun) || absl::IsDataLoss(begun)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "spec.init_from: ", job_->spec.init_from(),
        " is not as it was when the job was created: ", begun.message(),
        "; put it back, or begin from another checkpoint"));
  }
  LORY_RETURN_IF_ERROR(begun);
  Log(LogLevel::kInfo, "begins from a checkpoint",
      {{"folder", initial.folder()}, {"step", initial.step()}});
  return absl::OkStatus();
}

absl::Status Trainer::ReadCheckpoint(const lory::v1::Checkpoint& checkpoint) {
  LORY_ASSIGN_OR_RETURN(
      const auto reader,
      lory::checkpoint::CheckpointReader::Open(job_->folder, checkpoint,
                                               [this] { board_.Progress(); }));
  // An older state that lives is not given up for files that are not whole.
  state_.reset();
  LORY_ASSIGN_OR_RETURN(TrainingState state,
                        BlankState(job_->spec, checkpoint.step()));
  LORY_RETURN_IF_ERROR(reader->Load(TensorsOf(state)));
  LORY_RETURN_IF_ERROR(SetFromMetadata(reader->metadata(), state));
  state.chain = checkpoint.sample_digest();
  state_ = std::move(state);
  Log(LogLevel::kInfo, "checkpoint restored",
      {{"name", checkpoint.name()}, {"step", checkpoint.step()}});
  return absl::OkStatus();
}

absl::Status Trainer::Connect(const ControlBoard::Order& order) {
  const Assignment& assignment = order.assignment();
  lory::collective::Membership membership{
      .job = assignment.job(),
      .generation = generation_,
      .rank = assignment.rank(),
      .world_size = assignment.world_size(),
      .endpoints = {assignment.peer_endpoints().begin(),
                    assignment.peer_endpoints().end()},
      .token = assignment.collective_token(),
      .timeout = TimeoutOf(order.order),
      .connect_limit = kConnectLimit,
      .waiting = [this] { board_.Progress(); }};
  auto communicator = listener_->Connect(membership);
  if (!communicator.ok()) return AsLost(communicator.status());
  communicator_ = *std::move(communicator);
  return absl::OkStatus();
}

absl::Status Trainer::ShareState(const Assignment& assignment) {
  // Where every rank restored or began alone, rank 0's is as good as any, and
  // nothing is sent unless they differ.
  const int source = std::max(assignment.source_rank(), 0);
  LORY_RETURN_IF_ERROR(
      AsLost(SyncState(*communicator_, source, job_->spec, state_)));
  if (state_->step != assignment.start_step()) {
    return absl::UnavailableError(absl::StrCat(
        "generation ", generation_, " starts at step ", assignment.start_step(),
        ", but its state is of step ", state_->step));
  }
  board_.Report([&](TrainerStatus& status) {
    status.set_applied_step(state_->step);
    status.set_phase(TrainerStatus::WAITING);
  });
  return absl::OkStatus();
}

absl::Status Trainer::Train() {
  TrainingLoop loop(*job_, generation_, board_, *communicator_, *checkpoints_,
                    clock_, memory_, *state_);
  LORY_ASSIGN_OR_RETURN(const TrainingLoop::End end, loop.Run());
  if (end == TrainingLoop::End::kLeft) {
    board_.Report([&](TrainerStatus& status) {
      status.set_phase(TrainerStatus::WAITING);
    });
  }
  return absl::OkStatus();
}

absl::Status Trainer::Outlive(const absl::Status& status) {
  if (status.ok() || !RanksLostEachOther(status)) return status;
  const int failed_rank = communicator_ != nullptr
                              ? communicator_->failed_rank()
                              : listener_->failed_rank();
  Log(LogLevel::kWarning, "the generation broke",
      {{"generation", generation_},
       {"failed_rank", failed_rank},
       {"reason", status.message()}});
  board_.Report([&](TrainerStatus& report) {
    report.set_phase(TrainerStatus::BROKEN);
    report.set_failed_rank(failed_rank);
    report.set_error(std::string(status.message()));
    report.set_applied_step(state_.has_value() ? state_->step : -1);
  });
  return absl::OkStatus();
}

}  // namespace lory::train
