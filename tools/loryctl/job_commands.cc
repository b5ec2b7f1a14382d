#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/config/job_file.h"
#include "lory/v1/job.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/state_color.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobService;
using JobStub = JobService::Stub;

// "4.512"; what is no loss of a text says so.
std::string LossCell(const Job& job) {
  if (job.progress().loss() <= 0) return "-";
  const std::string number = Decimals(job.progress().loss(), 3);
  const std::string name = LossName(job);
  return name == "loss" ? number : absl::StrCat(name, " ", number);
}

absl::Status ListJobs(Session& session) {
  lory::v1::ListJobsRequest request;
  request.set_page_size(kPageSize);
  lory::v1::ListJobsResponse all;
  do {
    LORY_ASSIGN_OR_RETURN(auto page, session.Call(&JobStub::ListJobs, request));
    all.mutable_jobs()->MergeFrom(page.jobs());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (session.PrintList("jobs", all.jobs())) return absl::OkStatus();
  if (all.jobs().empty()) {
    session.err() << "no jobs; loryctl job submit -f job.yaml makes one\n";
    return absl::OkStatus();
  }
  const absl::Time now = session.environment().clock.WallNow();
  Table table({"NAME", "STATE", ">STEP", ">LOSS", ">TOKENS/S", ">WORKERS",
               ">GENERATION", ">AGE", "REASON"});
  for (const Job& job : all.jobs()) {
    const auto& progress = job.progress();
    const bool moves =
        progress.tokens_per_second() > 0 && !IsFinal(job.state());
    table.Add({ShortName(job.name()),
               {Job::State_Name(job.state()), ColorOf(job.state())},
               StepText(job),
               LossCell(job),
               moves ? Grouped(progress.tokens_per_second()) : "-",
               absl::StrCat(job.members_size()),
               absl::StrCat(job.generation()),
               Age(job.create_time(), now),
               job.reason()});
  }
  table.Print(session.environment());
  return absl::OkStatus();
}

absl::Status GetJob(Session& session, const std::string& name,
                    bool as_job_file) {
  lory::v1::GetJobRequest request;
  request.set_name(FullName("jobs", name));
  auto job = session.Call(&JobStub::GetJob, request);
  if (!job.ok()) {
    return WithHint(job.status(), absl::StatusCode::kNotFound,
                    "loryctl job list");
  }
  if (as_job_file) {
    session.out() << config::JobFileText(ShortName(job->name()), job->spec());
    return absl::OkStatus();
  }
  return session.Print(*job, job->name(),
                       [&] { PrintJob(*job, session.environment()); });
}

absl::Status ExplainJob(Session& session, const std::string& name) {
  lory::v1::GetJobRequest request;
  request.set_name(FullName("jobs", name));
  auto answer = session.Call(&JobStub::ExplainJob, request);
  if (!answer.ok()) {
    return WithHint(answer.status(), absl::StatusCode::kNotFound,
                    "loryctl job list");
  }
  return session.Print(*answer, request.name(), [&] {
    for (const std::string& sentence : answer->sentences()) {
      session.out() << sentence << "\n";
    }
  });
}

// What Pause, Resume, Cancel and Delete have in common.
struct JobVerb {
  const char* name;
  const char* description;
  const char* done;         // "is told to pause"
  const char* wrong_state;  // what to do when it is not possible now
  grpc::Status (JobStub::*method)(grpc::ClientContext*,
                                  const lory::v1::JobVerbRequest&, Job*);
};

constexpr JobVerb kVerbs[] = {
    {"pause", "Checkpoint a job and release its slots", "pauses",
     "loryctl job get NAME", &JobStub::PauseJob},
    {"resume",
     "Queue a paused, failed or cancelled job again, from its newest "
     "checkpoint",
     "goes on", "loryctl job explain NAME", &JobStub::ResumeJob},
    {"cancel", "Stop a job and its trainers; its checkpoints stay",
     "is cancelled", "loryctl job get NAME", &JobStub::CancelJob},
    {"delete", "Remove an ended job and its files from storage", "is deleted",
     "cancel it first: loryctl job cancel NAME", &JobStub::DeleteJob},
};

absl::Status DoVerb(Session& session, const JobVerb& verb,
                    const std::vector<std::string>& names) {
  absl::Status first_error;
  for (const std::string& name : names) {
    lory::v1::JobVerbRequest request;
    request.set_name(FullName("jobs", name));
    request.set_request_id(RandomUuid());
    auto job = session.Call(verb.method, request);
    if (job.ok()) {
      session.out() << request.name() << "\n";
      session.err() << ShortName(name) << " " << verb.done << ": "
                    << Job::State_Name(job->state()) << ", " << job->reason()
                    << "\n";
      continue;
    }
    absl::Status status =
        WithHint(job.status(), absl::StatusCode::kNotFound, "loryctl job list");
    std::string hint = verb.wrong_state;
    hint.replace(hint.find("NAME"), 4, ShortName(name));
    status = WithHint(status, absl::StatusCode::kFailedPrecondition, hint);
    if (!first_error.ok()) session.err() << ErrorText(status);
    if (first_error.ok()) first_error = status;
  }
  return first_error;
}

struct UpdateOptions {
  std::string name;
  std::optional<int> min_workers, max_workers, priority;
};

absl::Status UpdateJob(Session& session, const UpdateOptions& options) {
  lory::v1::UpdateJobRequest request;
  request.set_name(FullName("jobs", options.name));
  request.set_request_id(RandomUuid());
  auto* paths = request.mutable_update_mask();
  auto* spec = request.mutable_spec();
  if (options.min_workers) {
    paths->add_paths("min_workers");
    spec->set_min_workers(*options.min_workers);
  }
  if (options.max_workers) {
    paths->add_paths("max_workers");
    spec->set_max_workers(*options.max_workers);
  }
  if (options.priority) {
    paths->add_paths("priority");
    spec->set_priority(*options.priority);
  }
  if (paths->paths().empty()) {
    return absl::InvalidArgumentError(
        "nothing to change: give --min-workers, --max-workers or --priority");
  }
  auto job = session.Call(&JobStub::UpdateJob, request);
  if (!job.ok()) {
    return WithHint(job.status(), absl::StatusCode::kNotFound,
                    "loryctl job list");
  }
  session.out() << job->name() << "\n";
  session.err() << ShortName(job->name()) << " now wants "
                << job->spec().min_workers() << " to "
                << job->spec().max_workers() << " workers, priority "
                << job->spec().priority() << "\n";
  return absl::OkStatus();
}

void AddVerbs(CommandLine& line, CLI::App& job) {
  for (const JobVerb& verb : kVerbs) {
    auto names = std::make_shared<std::vector<std::string>>();
    const std::string call = absl::StrCat("loryctl job ", verb.name, " tiny");
    line.AddVerb(job, verb.name, verb.description,
                 {call, absl::StrCat(call, " other")},
                 [names, &verb](Session& session) {
                   return DoVerb(session, verb, *names);
                 })
        .add_option("name", *names, "names of jobs")
        ->required();
  }
  auto update = std::make_shared<UpdateOptions>();
  CLI::App& verb = line.AddVerb(
      job, "update", "Change how many workers a job has, or its priority",
      {"loryctl job update tiny --max-workers 4",
       "loryctl job update tiny --priority 10"},
      [update](Session& session) { return UpdateJob(session, *update); });
  verb.add_option("name", update->name, "name of the job")->required();
  verb.add_option("--min-workers", update->min_workers,
                  "trainers below which it waits");
  verb.add_option("--max-workers", update->max_workers, "trainers it grows to");
  verb.add_option("--priority", update->priority, "higher goes first");
}

}  // namespace

void AddJobCommands(CommandLine& line) {
  CLI::App& job =
      line.AddNoun("job", "jobs", "Train models: submit, watch and steer jobs");
  AddSubmitCommand(line, job);
  line.AddVerb(job, "list", "List jobs, newest first",
               {"loryctl job list", "loryctl job list -o name"}, ListJobs);
  auto name = std::make_shared<std::string>();
  auto as_job_file = std::make_shared<bool>(false);
  CLI::App& get = line.AddVerb(
      job, "get",
      "Show a job: progress, members, perplexity by domain, use of experts",
      {"loryctl job get tiny", "loryctl job get tiny -o json",
       "loryctl job get tiny --job-file > again.yaml"},
      [=](Session& session) { return GetJob(session, *name, *as_job_file); });
  get.add_option("name", *name, "name of the job")->required();
  get.add_flag("--job-file", *as_job_file,
               "print the job.yaml that would submit it again");
  AddWatchCommand(line, job);
  AddVerbs(line, job);
  AddLogsCommand(line, job);
  auto explained = std::make_shared<std::string>();
  line.AddVerb(
          job, "explain", "Say in sentences why a job is where it is",
          {"loryctl job explain tiny"},
          [=](Session& session) { return ExplainJob(session, *explained); })
      .add_option("name", *explained, "name of the job")
      ->required();
  AddTimelineCommand(line, job);
  AddPlotCommand(line, job);
}

}  // namespace lory::ctl
