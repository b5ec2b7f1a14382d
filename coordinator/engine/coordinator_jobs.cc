#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/job_validation.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/page_token.h"
#include "coordinator/plan/desired_state.h"
#include "coordinator/plan/records.h"
#include "coordinator/plan/resume_plan.h"
#include "coordinator/plan/retention_plan.h"
#include "coordinator/plan/schedule_plan.h"
#include "coordinator/plan/views.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

// The coordinator's half for people: jobs.
namespace lory::coordinator {
namespace {

using ::lory::internal::v1::GenerationEnded;
using ::lory::v1::Job;
using Record = Journal::Record;

// Of those that may know a job that has no members, a thread each.
constexpr size_t kMaxWorkersAsked = 64;

absl::Status WrongState(const JobState& job, absl::string_view wanted) {
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, "JOB_STATE",
      absl::StrCat(job.name, " is ", Job::State_Name(job.state), "; ", wanted));
}

// The new spec of an update, checked.
absl::StatusOr<lory::v1::JobSpec> UpdatedSpec(
    const JobState& job, const lory::v1::UpdateJobRequest& request) {
  lory::v1::JobSpec spec = job.spec;
  if (request.update_mask().paths().empty()) {
    return FieldErrors({{"update_mask",
                         "names no field; min_workers, max_workers and "
                         "priority can be changed"}});
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "min_workers" || path == "spec.min_workers") {
      spec.set_min_workers(request.spec().min_workers());
    } else if (path == "max_workers" || path == "spec.max_workers") {
      spec.set_max_workers(request.spec().max_workers());
    } else if (path == "priority" || path == "spec.priority") {
      spec.set_priority(request.spec().priority());
    } else {
      return FieldErrors(
          {{"update_mask",
            absl::StrCat("'", path, "' cannot be changed; only min_workers, ",
                         "max_workers and priority can")}});
    }
  }
  // What a newer version no longer lets through was let through for this job.
  const std::vector<FieldViolation> before =
      config::FindJobViolations(job.spec);
  std::vector<FieldViolation> wrong = config::FindJobViolations(spec);
  std::erase_if(wrong, [&](const FieldViolation& one) {
    return std::any_of(before.begin(), before.end(), [&](const auto& other) {
      return other.field == one.field && other.description == one.description;
    });
  });
  if (!wrong.empty()) return FieldErrors(std::move(wrong));
  return config::FillDefaults(std::move(spec));
}

}  // namespace

absl::StatusOr<const JobState*> Coordinator::FindJob(
    const std::string& name) const {
  const JobState* job = state_.FindJob(name);
  if (job != nullptr) return job;
  return ErrorWithReason(
      absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
      absl::StrCat("no job '", name, "'; `loryctl job list` shows all"));
}

absl::StatusOr<Job> Coordinator::GetJob(const std::string& name) {
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(name));
  return BuildJob(CurrentView(), *job, reasons_[name]);
}

absl::StatusOr<lory::v1::ListJobsResponse> Coordinator::ListJobs(
    const lory::v1::ListJobsRequest& request) {
  LORY_ASSIGN_OR_RETURN(
      const PageRequest page,
      ReadPage("jobs", request.page_size(), request.page_token(), 50, 500));
  MutexLock lock(&mutex_);
  std::vector<const JobState*> jobs;
  int64_t below = INT64_MAX;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &below)) below = 0;
  for (const auto& [name, job] : state_.jobs) {
    if (job.create_order < below) jobs.push_back(&job);
  }
  std::sort(jobs.begin(), jobs.end(), [](const auto* a, const auto* b) {
    return a->create_order > b->create_order;
  });
  lory::v1::ListJobsResponse response;
  for (const JobState* job : jobs) {
    if (response.jobs_size() == page.size) {
      const std::string& last = response.jobs(page.size - 1).name();
      response.set_next_page_token(MakePageToken(
          "jobs", absl::StrCat(state_.FindJob(last)->create_order)));
      break;
    }
    *response.add_jobs() = BuildJob(CurrentView(), *job, reasons_[job->name]);
  }
  return response;
}

absl::StatusOr<Job> Coordinator::UpdateJob(
    const lory::v1::UpdateJobRequest& request) {
  constexpr absl::string_view kMethod = "UpdateJob";
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                        FindAnswered(kMethod, request, request.request_id()));
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(request.name()));
  if (!answered) {
    if (IsFinal(job->state)) {
      return WrongState(*job, "only a job that has not ended can be changed");
    }
    LORY_ASSIGN_OR_RETURN(lory::v1::JobSpec spec, UpdatedSpec(*job, request));
    Record record;
    record.mutable_job_spec_changed()->set_job(job->name);
    *record.mutable_job_spec_changed()->mutable_spec() = std::move(spec);
    LORY_RETURN_IF_ERROR(CommitCall(kMethod, request, request.request_id(),
                                    job->name, {std::move(record)}));
    Evaluate();
  }
  return BuildJob(CurrentView(), *job, reasons_[job->name]);
}

absl::StatusOr<Job> Coordinator::ActOnJob(
    absl::string_view method, const lory::v1::JobVerbRequest& request,
    const Verb& verb) {
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                        FindAnswered(method, request, request.request_id()));
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(request.name()));
  if (!answered) {
    LORY_ASSIGN_OR_RETURN(std::vector<Record> records, verb(*job));
    LORY_RETURN_IF_ERROR(CommitCall(method, request, request.request_id(),
                                    job->name, std::move(records)));
    Evaluate();
  }
  return BuildJob(CurrentView(), *job, reasons_[job->name]);
}

absl::StatusOr<Job> Coordinator::PauseJob(
    const lory::v1::JobVerbRequest& request) {
  return ActOnJob(
      "PauseJob", request,
      [](const JobState& job) -> absl::StatusOr<std::vector<Record>> {
        if (IsFinal(job.state) || job.state == Job::CANCELLING) {
          return WrongState(job, "only a job that has not ended can pause");
        }
        if (job.state == Job::PAUSED || job.state == Job::PAUSING) {
          return std::vector<Record>();
        }
        if (job.state == Job::QUEUED) {
          return std::vector<Record>{
              StateChange(job.name, Job::PAUSED, "paused on request")};
        }
        // Without a state of this run there is nothing to checkpoint.
        const bool trains = job.state != Job::STARTING ||
                            job.generation.Is(GenerationState::Phase::kStarted);
        if (trains) {
          return std::vector<Record>{
              StateChange(job.name, Job::PAUSING,
                          "pauses on request: the checkpoint is written")};
        }
        std::vector<Record> records;
        if (job.generation.live()) {
          records.push_back(EndGeneration(
              job, GenerationEnded::CAUSE_UNSPECIFIED, "paused on request"));
        }
        records.push_back(
            StateChange(job.name, Job::PAUSED, "paused on request"));
        return records;
      });
}

absl::StatusOr<Job> Coordinator::ResumeJob(
    const lory::v1::JobVerbRequest& request) {
  return ActOnJob(
      "ResumeJob", request,
      [this](const JobState& job) -> absl::StatusOr<std::vector<Record>> {
        mutex_.AssertHeld();
        LORY_ASSIGN_OR_RETURN(Plan plan, PlanResume(state_, job));
        return std::move(plan.events);
      });
}

absl::StatusOr<Job> Coordinator::CancelJob(
    const lory::v1::JobVerbRequest& request) {
  return ActOnJob(
      "CancelJob", request,
      [](const JobState& job) -> absl::StatusOr<std::vector<Record>> {
        if (job.state == Job::CANCELLED || job.state == Job::CANCELLING) {
          return std::vector<Record>();
        }
        if (IsFinal(job.state)) {
          return WrongState(job, "it cannot be cancelled any more");
        }
        if (job.state == Job::QUEUED || job.state == Job::PAUSED) {
          return std::vector<Record>{
              StateChange(job.name, Job::CANCELLED, "cancelled on request")};
        }
        std::vector<Record> records;
        if (job.generation.live()) {
          records.push_back(EndGeneration(
              job, GenerationEnded::CAUSE_UNSPECIFIED, "cancelled on request"));
        }
        records.push_back(StateChange(job.name, Job::CANCELLING,
                                      "its trainers are being ended"));
        return records;
      });
}

absl::StatusOr<Job> Coordinator::DeleteJob(
    const lory::v1::JobVerbRequest& request) {
  constexpr absl::string_view kMethod = "DeleteJob";
  Job answer;
  const std::string folder = JobFolder(options_.storage_root, request.name());
  {
    MutexLock lock(&mutex_);
    LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                          FindAnswered(kMethod, request, request.request_id()));
    if (answered) {
      answer.set_name(*answered);
      return answer;
    }
    LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(request.name()));
    if (!IsFinal(job->state)) {
      return WrongState(*job, "cancel it before deleting it");
    }
    LORY_RETURN_IF_ERROR(CheckNoneBegins(state_, *job));
    answer = BuildJob(CurrentView(), *job, "");
    Record record;
    record.mutable_job_deleted()->set_job(job->name);
    LORY_RETURN_IF_ERROR(CommitCall(kMethod, request, request.request_id(),
                                    request.name(), {std::move(record)}));
    // Its checkpoints go with it.
    std::erase_if(to_delete_, [&](const std::string& other) {
      mutex_.AssertHeld();
      return IsWithin(other, folder) && being_removed_.count(other) == 0;
    });
    to_delete_.insert(folder);
  }
  RemoveFolder(folder);
  return answer;
}

absl::StatusOr<lory::v1::ExplainJobResponse> Coordinator::ExplainJob(
    const std::string& name) {
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(name));
  const View view = CurrentView();
  lory::v1::ExplainJobResponse response;
  const Job shown = BuildJob(view, *job, reasons_[name]);
  response.add_sentences(absl::StrCat(name, " is ", Job::State_Name(job->state),
                                      ": ", shown.reason(), "."));
  if (IsFinal(job->state)) {
    std::string how = ExplainResume(state_, *job);
    if (!how.empty()) response.add_sentences(std::move(how));
    return response;
  }
  if (job->generation.live()) {
    response.add_sentences(absl::StrCat(
        "Its newest generation is ", job->generation.number, " with ",
        Counted(job->generation.members.size(), "member"), ", opened because ",
        job->generation.reason, "."));
  } else if (job->generation.Is(GenerationState::Phase::kEnded)) {
    response.add_sentences(absl::StrCat(
        "Its last generation, ", job->generation.number, ", has ended."));
  }
  if (job->state == Job::PAUSED) {
    response.add_sentences(
        absl::StrCat("It stays so until `loryctl job resume ",
                     name.substr(kJobs.size()), "`."));
    return response;
  }
  for (std::string& sentence : ExplainSchedule(view, *job)) {
    response.add_sentences(std::move(sentence));
  }
  return response;
}

absl::StatusOr<lory::v1::ListJobEventsResponse> Coordinator::ListJobEvents(
    const lory::v1::ListJobEventsRequest& request) {
  const std::string list = absl::StrCat("events of ", request.parent());
  LORY_ASSIGN_OR_RETURN(
      const PageRequest page,
      ReadPage(list, request.page_size(), request.page_token(), 100, 1000));
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(request.parent()));
  int64_t after = 0;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &after)) after = 0;
  const int64_t first =
      job->event_count - static_cast<int64_t>(job->events.size()) + 1;
  lory::v1::ListJobEventsResponse response;
  for (int64_t number = std::max(first, after + 1); number <= job->event_count;
       ++number) {
    if (response.events_size() == page.size) {
      response.set_next_page_token(
          MakePageToken(list, absl::StrCat(number - 1)));
      break;
    }
    *response.add_events() = job->events[static_cast<size_t>(number - first)];
  }
  return response;
}

absl::StatusOr<std::vector<std::string>> Coordinator::LogSources(
    const std::string& name) {
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const JobState* job, FindJob(name));
  std::set<std::string> workers;
  for (const SlotKey& key : sessions_.LeasesOf(name)) {
    workers.insert(key.worker);
  }
  for (const SlotKey& key : job->started.members) workers.insert(key.worker);
  // Of trainers that ended before their first generation the journal says
  // nothing; whoever started one has its log. A job that never left the queue
  // has none: what a worker holds is of a deleted job of its name.
  const bool never_tried =
      job->state == Job::QUEUED && job->state_time == job->create_time;
  if (workers.empty() && !never_tried) {
    for (const auto& [worker, session] : sessions_.workers) {
      if (workers.size() == kMaxWorkersAsked) break;
      if (session.stream_open) workers.insert(worker);
    }
  }
  std::vector<std::string> endpoints;
  for (const std::string& worker : workers) {
    const WorkerSession* session = sessions_.FindWorker(worker);
    if (session != nullptr &&
        !session->description.control_endpoint().empty()) {
      endpoints.push_back(session->description.control_endpoint());
    }
  }
  return endpoints;
}

Snapshot Coordinator::TakeSnapshot(size_t events_per_job) {
  MutexLock lock(&mutex_);
  const View view = CurrentView();
  Snapshot snapshot;
  std::vector<const JobState*> jobs;
  for (const auto& [name, job] : state_.jobs) jobs.push_back(&job);
  std::sort(jobs.begin(), jobs.end(), [](const auto* a, const auto* b) {
    return a->create_order > b->create_order;
  });
  for (const JobState* job : jobs) {
    snapshot.jobs.push_back(BuildJob(view, *job, reasons_[job->name]));
    const auto points = losses_.find(job->name);
    if (points != losses_.end()) {
      snapshot.losses[job->name] = {points->second.begin(),
                                    points->second.end()};
    }
    const size_t count = std::min(events_per_job, job->events.size());
    snapshot.events[job->name] = {
        job->events.end() - static_cast<std::ptrdiff_t>(count),
        job->events.end()};
  }
  std::set<std::string> workers = state_.draining_workers;
  for (const auto& [name, session] : sessions_.workers) workers.insert(name);
  for (const std::string& name : workers) {
    snapshot.workers.push_back(BuildWorker(view, name));
  }
  snapshot.sample_orders = sample_orders_;
  snapshot.journal_records = state_.records_applied;
  return snapshot;
}

}  // namespace lory::coordinator
