#include "coordinator/state/job_events.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "coordinator/state/names.h"

namespace lory::coordinator {
namespace {

using ::lory::internal::v1::GenerationEnded;
using ::lory::v1::Checkpoint;
using ::lory::v1::Job;
using ::lory::v1::JobEvent;

JobEvent Make(JobEvent::Kind kind, int64_t generation, std::string message) {
  JobEvent event;
  event.set_kind(kind);
  event.set_generation(generation);
  event.set_step(-1);
  event.set_message(std::move(message));
  return event;
}

// 0 before the first, whatever number that will have.
int64_t NumberOf(const GenerationState& generation) {
  return generation.Is(GenerationState::Phase::kNone) ? 0 : generation.number;
}

std::string MemberList(const std::vector<SlotKey>& members) {
  return absl::StrJoin(members, ", ", [](std::string* out, const SlotKey& key) {
    absl::StrAppend(out, IdOf(key.worker), ":", key.slot);
  });
}

}  // namespace

void AddEvent(JobState& job, absl::Time time, JobEvent event) {
  event.set_name(absl::StrCat(job.name, "/events/", ++job.event_count));
  *event.mutable_time() = TimestampOf(time);
  job.events.push_back(std::move(event));
  if (job.events.size() > JobState::kMaxEvents) job.events.pop_front();
}

JobEvent StateEvent(const JobState& job) {
  const std::string& state = Job::State_Name(job.state);
  JobEvent event = Make(JobEvent::STATE_CHANGED, NumberOf(job.generation),
                        absl::StrCat(state, ": ", job.reason));
  (*event.mutable_attributes())["state"] = state;
  return event;
}

JobEvent RecoveredEvent(const JobState& job, absl::Duration after) {
  JobEvent event = Make(JobEvent::RECOVERED, job.generation.number,
                        absl::StrCat("training went on ", ShortDuration(after),
                                     " after the fault"));
  event.set_step(job.started.start_step);
  (*event.mutable_attributes())["seconds"] =
      absl::StrFormat("%.3f", absl::ToDoubleSeconds(after));
  return event;
}

JobEvent SpecEvent(const JobState& job, const lory::v1::JobSpec& changed) {
  return Make(
      JobEvent::UPDATED, NumberOf(job.generation),
      absl::StrCat("workers ", job.spec.min_workers(), "..",
                   job.spec.max_workers(), " became ", changed.min_workers(),
                   "..", changed.max_workers(), ", priority ",
                   job.spec.priority(), " became ", changed.priority()));
}

JobEvent OpenedEvent(const JobState& job) {
  JobEvent event =
      Make(JobEvent::GENERATION_OPENED, job.generation.number,
           absl::StrCat("asked ", MemberList(job.generation.members),
                        " to prepare: ", job.generation.reason));
  (*event.mutable_attributes())["cause"] = job.generation.reason;
  return event;
}

JobEvent StartedEvent(const JobState& job) {
  const StartedGeneration& started = job.started;
  std::string from;
  if (started.source_rank >= 0) {
    from = absl::StrCat("with the state of rank ", started.source_rank);
  } else if (started.restored_checkpoint_step >= 0) {
    from = absl::StrCat("from the checkpoint of step ",
                        started.restored_checkpoint_step);
  } else if (job.initial_checkpoint) {
    from = absl::StrCat("from the weights of ", job.spec.init_from());
  } else {
    from = "from the seed";
  }
  JobEvent event =
      Make(JobEvent::GENERATION_STARTED, started.number,
           absl::StrCat(Counted(started.members.size(), "trainer"),
                        started.members.size() == 1 ? " starts" : " start",
                        " at step ", started.start_step, " ", from));
  event.set_step(started.start_step);
  (*event.mutable_attributes())["members"] = MemberList(started.members);
  return event;
}

JobEvent EndedEvent(const JobState& job, const GenerationEnded& ended) {
  JobEvent event =
      Make(JobEvent::GENERATION_ENDED, job.generation.number, ended.reason());
  (*event.mutable_attributes())["by_fault"] =
      ended.by_fault() ? "true" : "false";
  if (ended.by_fault()) {
    (*event.mutable_attributes())["cause"] = CauseName(ended.cause());
  }
  return event;
}

std::string CauseName(GenerationEnded::Cause cause) {
  switch (cause) {
    case GenerationEnded::EXIT:
      return "exit";
    case GenerationEnded::SILENCE:
      return "silence";
    case GenerationEnded::COLLECTIVE:
      return "collective";
    case GenerationEnded::PREPARE:
      return "prepare";
    case GenerationEnded::CHECKPOINT:
      return "checkpoint";
    default:
      return "other";
  }
}

JobEvent CheckpointEvent(const Checkpoint& checkpoint) {
  const bool committed = checkpoint.state() == Checkpoint::COMMITTED;
  JobEvent event = Make(
      committed ? JobEvent::CHECKPOINT_COMMITTED : JobEvent::CHECKPOINT_GONE,
      checkpoint.generation(),
      absl::StrCat("checkpoint of step ", checkpoint.step(), " is ",
                   Checkpoint::State_Name(checkpoint.state()),
                   checkpoint.reason().empty() ? "" : ": ",
                   checkpoint.reason()));
  event.set_step(checkpoint.step());
  (*event.mutable_attributes())["bytes"] =
      absl::StrCat(checkpoint.size_bytes());
  return event;
}

}  // namespace lory::coordinator
