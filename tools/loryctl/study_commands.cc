#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/flags/value_checks.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/study_file.h"
#include "tools/loryctl/study_folder.h"
#include "tools/loryctl/study_jobs.h"
#include "tools/loryctl/study_progress.h"
#include "tools/loryctl/study_results.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;

constexpr absl::Duration kLookEvery = absl::Seconds(2);
// How long a coordinator may be away before `study run` gives up.
constexpr absl::Duration kStudyPatience = absl::Minutes(2);

struct StudyOptions {
  std::string file;
  std::string folder;
  int max_running = 0;
  bool dry_run = false;
  bool force = false;
};

std::string CommandText(const char* verb, const StudyOptions& options) {
  std::string text = absl::StrCat("loryctl study ", verb, " ", options.file);
  if (!options.folder.empty()) absl::StrAppend(&text, " --to ", options.folder);
  if (options.max_running > 0) {
    absl::StrAppend(&text, " --max-running ", options.max_running);
  }
  if (options.force) text += " --force";
  return text;
}

// Waits; whether the person asked to stop.
bool StopsWithin(Environment& environment, absl::Duration duration) {
  if (environment.wait_for_stop != nullptr) {
    return environment.wait_for_stop(duration);
  }
  environment.clock.SleepFor(duration);
  return false;
}

// Prints the table by variant and writes the results.
absl::Status ReportStudy(Session& session, const StudyFile& study,
                         const StudyOptions& options,
                         const std::vector<StudyJob>& jobs) {
  std::vector<Job> existing;
  for (const StudyJob& job : jobs) {
    if (job.exists()) existing.push_back(job.job);
  }
  if (!session.PrintList("jobs", existing)) {
    const TextTable texts = VariantTable(study, jobs);
    std::vector<std::string> titles = texts[0];
    for (size_t i = 1; i < titles.size(); ++i) titles[i].insert(0, ">");
    Table table(titles);
    for (size_t i = 1; i < texts.size(); ++i) {
      table.Add({texts[i].begin(), texts[i].end()});
    }
    table.Print(session.environment());
  }
  session.err() << StatesText(jobs) << "\n";
  const std::string folder = StudyFolder(study, options.folder);
  const std::string time =
      Calendar(session.environment().clock.WallNow(), absl::UTCTimeZone());
  LORY_ASSIGN_OR_RETURN(
      const std::string kept,
      WriteStudyFolder(folder, study, jobs, absl::StrCat(time, " UTC"),
                       options.force));
  if (!kept.empty()) {
    session.err() << "results.md had lost the two comments that mark what is "
                     "written here; it is kept: "
                  << kept << "\n";
  }
  session.err() << "written: " << folder << "/results.md, results.csv"
                << (StudyPlot(study, jobs).empty() ? "" : ", results.svg")
                << "\n";
  return absl::OkStatus();
}

// The jobs, and in what each variant differs from what it is compared with.
absl::Status PrintStudyPlan(Session& session, const StudyFile& study,
                            const std::vector<StudyJob>& jobs) {
  for (size_t i = 0; i < study.variants.size(); ++i) {
    std::vector<std::string> names;
    for (const StudyJob& job : jobs) {
      if (job.variant != i) continue;
      names.push_back(absl::StrCat(
          job.file.name, " (",
          job.exists() ? Job::State_Name(job.job.state()) : "new", ")"));
    }
    session.out() << study.variants[i].name
                  << (study.variants[i].reference == i ? " (reference): "
                                                       : ": ")
                  << absl::StrJoin(names, ", ") << "\n";
    // The jobs of the first seed come first, in the order of the variants.
    for (const std::string& line : SpecDifferences(
             jobs[i].file.spec, jobs[study.variants[i].reference].file.spec)) {
      session.out() << "  " << line << "\n";
    }
  }
  const auto is_new = [](const StudyJob& job) { return !job.exists(); };
  session.err() << std::count_if(jobs.begin(), jobs.end(), is_new) << " of "
                << jobs.size()
                << " jobs would be submitted; nothing was (--dry-run)\n";
  return absl::OkStatus();
}

// OK, or which jobs failed or were cancelled.
absl::Status StudyVerdict(const std::vector<StudyJob>& jobs) {
  std::vector<std::string> failed, cancelled;
  for (const StudyJob& job : jobs) {
    if (job.job.state() == Job::FAILED) failed.push_back(job.file.name);
    if (job.job.state() == Job::CANCELLED) cancelled.push_back(job.file.name);
  }
  if (failed.empty() && cancelled.empty()) return absl::OkStatus();
  const std::string again =
      "and, to try one again, loryctl job resume NAME, or loryctl job delete "
      "NAME, and run the study again";
  if (!failed.empty()) {
    return WithExitCode(
        WithHint(absl::FailedPreconditionError(absl::StrCat(
                     failed.size(), " of ", jobs.size(),
                     " jobs failed: ", absl::StrJoin(failed, ", "))),
                 absl::StrCat("loryctl job timeline ", failed[0],
                              "; loryctl job logs ", failed[0], "; ", again)),
        ExitCode::kJobFailed);
  }
  return WithExitCode(
      WithHint(
          absl::CancelledError(absl::StrCat(
              cancelled.size(), " of ", jobs.size(),
              " jobs were cancelled: ", absl::StrJoin(cancelled, ", "))),
          absl::StrCat("loryctl job timeline ", cancelled[0], "; ", again)),
      ExitCode::kJobCancelled);
}

// One `study run`: submits, waits, shows.
class StudyRun {
 public:
  StudyRun(Session& session, const StudyOptions& options,
           std::vector<StudyJob>& jobs)
      : session_(session),
        environment_(session.environment()),
        options_(options),
        jobs_(jobs),
        progress_(session.environment()) {}

  // Returns when every job has ended. Blocks for as long. Errors: those of
  // the coordinator, and kInterrupted for Ctrl-C.
  absl::Status Run() {
    last_heard_ = environment_.clock.MonotonicNow();
    while (true) {
      LORY_RETURN_IF_ERROR(SubmitMore());
      progress_.Show(jobs_);
      if (std::all_of(jobs_.begin(), jobs_.end(), HasEnded)) break;
      if (StopsWithin(environment_, kLookEvery)) return Interrupted();
      LORY_RETURN_IF_ERROR(Look());
    }
    if (environment_.err_is_terminal) environment_.err << "\n";
    return absl::OkStatus();
  }

 private:
  static bool HasEnded(const StudyJob& job) { return IsFinal(job.job.state()); }

  absl::Status SubmitMore() {
    const auto goes = [](const StudyJob& job) {
      return job.exists() && !HasEnded(job);
    };
    auto running = std::count_if(jobs_.begin(), jobs_.end(), goes);
    for (StudyJob& job : jobs_) {
      if (job.exists()) continue;
      if (options_.max_running > 0 && running >= options_.max_running) break;
      if (StopsWithin(environment_, absl::ZeroDuration())) {
        return Interrupted();
      }
      LORY_RETURN_IF_ERROR(Patiently(SubmitStudyJob(session_, job)));
      running += job.exists() ? 1 : 0;
      if (is_away_) break;
    }
    return absl::OkStatus();
  }

  absl::Status Look() { return Patiently(RefreshStudy(session_, jobs_)); }

  // `status`, but OK while a coordinator that is away may come back.
  absl::Status Patiently(const absl::Status& status) {
    const absl::Time now = environment_.clock.MonotonicNow();
    const bool was_away = is_away_;
    is_away_ = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    if (!is_away_) {
      if (was_away) progress_.Say("the coordinator is back");
      last_heard_ = now;
      return status;
    }
    if (now - last_heard_ >= kStudyPatience) return status;
    if (!was_away) {
      progress_.Say("the coordinator is away; trying again (training goes on)");
    }
    return absl::OkStatus();
  }

  absl::Status Interrupted() {
    progress_.Show(jobs_);
    if (environment_.err_is_terminal) environment_.err << "\n";
    std::vector<std::string> going;
    for (const StudyJob& job : jobs_) {
      if (job.exists() && !HasEnded(job)) going.push_back(job.file.name);
    }
    std::string hint = absl::StrCat(
        "go on: ", CommandText("run", options_), "; a table of what is there: ",
        CommandText("report", {.file = options_.file,
                               .folder = options_.folder,
                               .force = options_.force}));
    if (!going.empty()) {
      absl::StrAppend(&hint, "; end them: loryctl job cancel ",
                      absl::StrJoin(going, " "));
    }
    return WithExitCode(WithHint(absl::CancelledError(absl::StrCat(
                                     "stopped looking; ", going.size(),
                                     " submitted jobs go on")),
                                 hint),
                        ExitCode::kInterrupted);
  }

  Session& session_;
  Environment& environment_;
  const StudyOptions& options_;
  std::vector<StudyJob>& jobs_;
  StudyProgress progress_;
  absl::Time last_heard_;
  bool is_away_ = false;
};

absl::Status RunStudy(Session& session, const StudyOptions& options) {
  LORY_ASSIGN_OR_RETURN(const StudyFile study, ReadStudyFile(options.file));
  // Not after hours of training.
  if (!options.dry_run) {
    LORY_RETURN_IF_ERROR(
        CheckStudyFolder(StudyFolder(study, options.folder), study));
  }
  // Before the first call starts threads, which would take the signal.
  if (!options.dry_run) StopsWithin(session.environment(), {});
  LORY_ASSIGN_OR_RETURN(std::vector<StudyJob> jobs, PlanStudy(session, study));
  LORY_RETURN_IF_ERROR(RefreshStudy(session, jobs));
  if (options.dry_run) return PrintStudyPlan(session, study, jobs);
  LORY_RETURN_IF_ERROR(MakeStudyFolder(StudyFolder(study, options.folder)));
  LORY_RETURN_IF_ERROR(StudyRun(session, options, jobs).Run());
  LORY_RETURN_IF_ERROR(ReportStudy(session, study, options, jobs));
  return StudyVerdict(jobs);
}

absl::Status ReportNow(Session& session, const StudyOptions& options) {
  LORY_ASSIGN_OR_RETURN(const StudyFile study, ReadStudyFile(options.file));
  LORY_ASSIGN_OR_RETURN(std::vector<StudyJob> jobs, PlanStudy(session, study));
  LORY_RETURN_IF_ERROR(RefreshStudy(session, jobs));
  return ReportStudy(session, study, options, jobs);
}

void AddStudyOptions(CLI::App& verb, StudyOptions& options) {
  verb.add_option("file", options.file, "study.yaml")->required();
  verb.add_option("--to", options.folder,
                  "where the results go (default: STUDY.results beside the "
                  "file)")
      ->type_name("FOLDER");
  verb.add_flag("--force", options.force,
                "give up earlier results of jobs that have none any more");
}

}  // namespace

void AddStudyCommands(CommandLine& line) {
  CLI::App& study = line.AddNoun(
      "study", "studies", "Compare variants of a job: submit all, one table");
  auto run = std::make_shared<StudyOptions>();
  CLI::App& run_verb = line.AddVerb(
      study, "run",
      "Submit the jobs of a study, wait for them, write what came out",
      {"loryctl study run study.yaml --dry-run", "loryctl study run study.yaml",
       "loryctl study run study.yaml --max-running 2 --to results"},
      [=](Session& session) { return RunStudy(session, *run); });
  AddStudyOptions(run_verb, *run);
  run_verb
      .add_option("--max-running", run->max_running,
                  "jobs that may be submitted and not ended (default: all)")
      ->type_name("JOBS")
      ->check(flags::AboveZero());
  run_verb.add_flag("--dry-run", run->dry_run,
                    "print the jobs and how they differ, submit nothing");
  auto report = std::make_shared<StudyOptions>();
  AddStudyOptions(
      line.AddVerb(
          study, "report", "Write what came out of a study so far",
          {"loryctl study report study.yaml",
           "loryctl study report study.yaml -o json"},
          [=](Session& session) { return ReportNow(session, *report); }),
      *report);
}

}  // namespace lory::ctl
