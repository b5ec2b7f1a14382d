#include "tools/loryctl/job_watch.h"

#include <google/protobuf/util/json_util.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "lory/v1/job.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/state_color.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobService;

// Off a terminal a line this often, and at every change of state.
constexpr absl::Duration kLineEvery = absl::Seconds(5);
// How long a coordinator may be away before the watcher gives up.
constexpr absl::Duration kAwayFor = absl::Minutes(2);

// Prints a job again and again.
class Display {
 public:
  explicit Display(Session& session)
      : session_(session), environment_(session.environment()) {}

  void Show(const Job& job) {
    const bool is_news = job.state() != last_.state() ||
                         job.generation() != last_.generation() ||
                         (IsFinal(job.state()) && !shown_final_);
    shown_final_ = IsFinal(job.state());
    last_ = job;
    if (session_.format() == OutputFormat::kJson) return ShowJson(job);
    const absl::Time now = environment_.clock.MonotonicNow();
    if (environment_.out_is_terminal) {
      Redraw(Line(job));
    } else if (is_news || now - last_line_ >= kLineEvery) {
      environment_.out << Line(job) << std::endl;
      last_line_ = now;
    }
  }

  // A word on the side, without leaving half a line behind.
  void Say(absl::string_view text) {
    if (environment_.out_is_terminal) Redraw("");
    session_.err() << text << std::endl;
  }

  void Finish() {
    if (environment_.out_is_terminal && last_.generation() >= 0) {
      environment_.out << "\n";
    }
    if (session_.format() == OutputFormat::kJson) return;
    PrintEvaluation(last_, environment_);
    PrintRouting(last_.progress(), environment_);
    environment_.out.flush();
  }

 private:
  std::string Line(const Job& job) const {
    std::vector<std::string> parts = {
        Colored(environment_, ColorOf(job.state()),
                Job::State_Name(job.state())),
        ProgressLine(job)};
    if (job.generation() > 0) {
      parts.push_back(absl::StrCat("generation ", job.generation()));
    }
    if (!job.reason().empty()) parts.push_back(job.reason());
    return absl::StrJoin(parts, "  ");
  }

  void Redraw(const std::string& line) {
    // Colours take bytes, not columns; leave room for the two codes.
    const int extra = environment_.color() ? 9 : 0;
    environment_.out << "\r\x1b[K"
                     << Clipped(line, environment_.columns - 1 + extra)
                     << std::flush;
  }

  void ShowJson(const Job& job) {
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    options.always_print_primitive_fields = true;
    std::string json;
    if (google::protobuf::util::MessageToJsonString(job, &json, options).ok()) {
      environment_.out << json << std::endl;
    }
  }

  Session& session_;
  Environment& environment_;
  Job last_;
  bool shown_final_ = false;
  absl::Time last_line_ = absl::InfinitePast();
};

absl::Status Verdict(const Job& job) {
  const std::string name = ShortName(job.name());
  if (job.state() == Job::FAILED) {
    return WithExitCode(WithHint(absl::FailedPreconditionError(absl::StrCat(
                                     "job ", name, " failed: ", job.reason())),
                                 absl::StrCat("loryctl job timeline ", name,
                                              "; loryctl job logs ", name)),
                        ExitCode::kJobFailed);
  }
  if (job.state() == Job::CANCELLED) {
    return WithExitCode(
        absl::CancelledError(absl::StrCat("job ", name, " was cancelled")),
        ExitCode::kJobCancelled);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WatchJob(Session& session, const std::string& name) {
  Clock& clock = session.environment().clock;
  LORY_ASSIGN_OR_RETURN(const auto channel, session.Channel());
  JobService::Stub stub(channel);
  lory::v1::GetJobRequest request;
  request.set_name(FullName("jobs", name));
  Display display(session);
  Job job;
  bool was_there = false;
  bool is_away = false;
  absl::Time last_heard = clock.MonotonicNow();
  while (true) {
    grpc::ClientContext context;
    const auto reader = stub.WatchJob(&context, request);
    while (reader->Read(&job)) {
      if (is_away) display.Say("the coordinator is back");
      was_there = true;
      is_away = false;
      last_heard = clock.MonotonicNow();
      display.Show(job);
    }
    const absl::Status status = rpc::FromGrpc(reader->Finish());
    if (was_there && IsFinal(job.state())) {
      display.Finish();
      return Verdict(job);
    }
    const bool may_return = was_there &&
                            (status.ok() || absl::IsUnavailable(status)) &&
                            clock.MonotonicNow() - last_heard < kAwayFor;
    if (!may_return) {
      return WithHint(session.Explain(status), absl::StatusCode::kNotFound,
                      "loryctl job list");
    }
    if (!is_away && !status.ok()) {
      display.Say("the coordinator is away; trying again (training goes on)");
    }
    is_away = !status.ok();
    clock.SleepFor(kReconnectEvery);
  }
}

void AddWatchCommand(CommandLine& line, CLI::App& job) {
  auto name = std::make_shared<std::string>();
  line.AddVerb(job, "watch",
               "Follow a job until it has ended; the exit code says how",
               {"loryctl job watch tiny",
                "loryctl job watch tiny -o json | jq .progress.loss",
                "loryctl job watch tiny && echo trained"},
               [=](Session& session) { return WatchJob(session, *name); })
      .add_option("name", *name, "name of the job")
      ->required();
}

}  // namespace lory::ctl
