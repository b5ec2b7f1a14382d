#include "tools/verify/history_checks.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"

namespace lory::verify {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobSpec;

// The transitions of a job, from -> to, written down a second time on purpose:
// the auditor must not share a mistake with the coordinator.
constexpr std::pair<Job::State, Job::State> kTransitions[] = {
    {Job::QUEUED, Job::STARTING},      {Job::QUEUED, Job::PAUSED},
    {Job::QUEUED, Job::CANCELLED},     {Job::STARTING, Job::RUNNING},
    {Job::STARTING, Job::RECOVERING},  {Job::STARTING, Job::QUEUED},
    {Job::STARTING, Job::PAUSING},     {Job::STARTING, Job::PAUSED},
    {Job::STARTING, Job::CANCELLING},  {Job::STARTING, Job::FAILED},
    {Job::RUNNING, Job::RECOVERING},   {Job::RUNNING, Job::QUEUED},
    {Job::RUNNING, Job::PAUSING},      {Job::RUNNING, Job::CANCELLING},
    {Job::RUNNING, Job::SUCCEEDED},    {Job::RUNNING, Job::FAILED},
    {Job::RECOVERING, Job::RUNNING},   {Job::RECOVERING, Job::QUEUED},
    {Job::RECOVERING, Job::PAUSING},   {Job::RECOVERING, Job::CANCELLING},
    {Job::RECOVERING, Job::SUCCEEDED}, {Job::RECOVERING, Job::FAILED},
    {Job::PAUSING, Job::PAUSED},       {Job::PAUSING, Job::CANCELLING},
    {Job::PAUSING, Job::SUCCEEDED},    {Job::PAUSING, Job::FAILED},
    {Job::PAUSED, Job::QUEUED},        {Job::PAUSED, Job::CANCELLED},
    {Job::CANCELLING, Job::CANCELLED}, {Job::CANCELLED, Job::QUEUED},
    {Job::FAILED, Job::QUEUED},
};

// `spec` without what people may change while the job lives.
JobSpec FixedPart(JobSpec spec) {
  spec.clear_min_workers();
  spec.clear_max_workers();
  spec.clear_priority();
  return spec;
}

void CheckStart(const JobHistory& history, const GenerationStart& start,
                Verdict& verdict) {
  const auto& event = start.event;
  const std::string name = absl::StrCat("generation ", event.generation());
  const auto opened = std::find_if(
      history.openings.begin(), history.openings.end(), [&](const auto& o) {
        return o.generation == event.generation() && o.at < start.at;
      });
  if (opened == history.openings.end()) {
    verdict.Fail(absl::StrCat(name, " started without being opened"));
  }
  if (event.members().empty()) {
    verdict.Fail(absl::StrCat(name, " has no members"));
  }
  const int64_t step = event.start_step();
  if (event.source_rank() >= event.members_size()) {
    verdict.Fail(absl::StrCat(name, " takes the state from rank ",
                              event.source_rank(), " of ",
                              event.members_size()));
  } else if (event.source_rank() < 0 && event.restored_checkpoint_step() >= 0) {
    if (event.restored_checkpoint_step() != step) {
      verdict.Fail(absl::StrCat(name, " restores step ",
                                event.restored_checkpoint_step(),
                                " but starts at ", step));
    } else if (!history.CommittedAt(start.at).contains(step)) {
      verdict.Fail(absl::StrCat(name, " restores step ", step,
                                ", which is not COMMITTED at that time"));
    }
  } else if (event.source_rank() < 0 && step != 0) {
    verdict.Fail(absl::StrCat(name, " starts at step ", step,
                              " from neither a member nor a checkpoint"));
  }
  if (step < 0 || step > history.spec().step_count()) {
    verdict.Fail(absl::StrCat(name, " starts at step ", step, " of ",
                              history.spec().step_count()));
  }
}

}  // namespace

Verdict CheckStates(const JobHistory& history) {
  Verdict verdict("job states follow the transition table");
  if (history.states.front().state != Job::QUEUED) {
    verdict.Fail(absl::StrCat("created ",
                              Job::State_Name(history.states.front().state)));
  }
  for (size_t i = 1; i < history.states.size(); ++i) {
    const Job::State from = history.states[i - 1].state;
    const Job::State to = history.states[i].state;
    // The same state with a new reason is no transition.
    if (from == to) continue;
    if (std::find(std::begin(kTransitions), std::end(kTransitions),
                  std::pair(from, to)) == std::end(kTransitions)) {
      verdict.Fail(absl::StrCat("record ", history.states[i].at + 1, ": ",
                                Job::State_Name(from), " to ",
                                Job::State_Name(to)));
    }
  }
  return verdict;
}

Verdict CheckSpec(const JobHistory& history) {
  Verdict verdict("what defines the result never changes");
  const JobSpec first = FixedPart(history.spec());
  for (size_t i = 1; i < history.specs.size(); ++i) {
    google::protobuf::util::MessageDifferencer difference;
    std::string what;
    difference.ReportDifferencesToString(&what);
    if (!difference.Compare(first, FixedPart(history.specs[i]))) {
      verdict.Fail(absl::StrCat("change ", i, " of the spec: ", what));
    }
  }
  return verdict;
}

Verdict CheckGenerations(const JobHistory& history) {
  Verdict verdict("generations grow by one and start from a known state");
  int64_t newest = history.generations_before;
  if (newest < history.generations_of_deleted) {
    verdict.Fail(absl::StrCat("the job follows generation ", newest,
                              ", a deleted job of its name had generation ",
                              history.generations_of_deleted));
  }
  for (const GenerationOpening& opening : history.openings) {
    if (opening.generation != newest + 1) {
      verdict.Fail(absl::StrCat("record ", opening.at + 1, ": generation ",
                                opening.generation, " opened after ", newest));
    }
    newest = std::max(newest, opening.generation);
  }
  int64_t last_started = 0;
  for (const GenerationStart& start : history.starts) {
    const int64_t generation = start.event.generation();
    if (generation <= last_started) {
      verdict.Fail(absl::StrCat("record ", start.at + 1, ": generation ",
                                generation, " started after ", last_started));
    }
    last_started = std::max(last_started, generation);
    CheckStart(history, start, verdict);
  }
  std::set<int64_t> ended;
  for (const GenerationEnd& end : history.ends) {
    if (!ended.insert(end.generation).second) {
      verdict.Fail(absl::StrCat("generation ", end.generation, " ended twice"));
    }
  }
  return verdict;
}

}  // namespace lory::verify
