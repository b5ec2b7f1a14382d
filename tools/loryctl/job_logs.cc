#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/error_detail.h"
#include "common/flags/value_checks.h"
#include "lory/v1/job.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::JobService;
using ::lory::v1::LogChunk;

constexpr absl::Duration kAwayFor = absl::Minutes(2);
// After an outage, how far back lines are asked for again.
constexpr int kOverlapLines = 1000;

struct LogOptions {
  std::string name;
  bool follow = false;
  int tail_lines = 0;
};

// Prints lines with their trainer's name before them. After an outage the
// stream is asked for again; lines already printed are recognised by the last
// one of each trainer.
class LogPrinter {
 public:
  explicit LogPrinter(std::ostream& out) : out_(out) {}

  void Print(const LogChunk& chunk) {
    const std::string source =
        absl::StrCat(ShortName(chunk.worker()), "/", chunk.slot());
    absl::string_view text = chunk.text();
    std::string& last = last_line_[source];
    if (resumed_.erase(source) > 0 && !last.empty()) {
      const size_t at = text.rfind(absl::StrCat(last, "\n"));
      if (at != absl::string_view::npos) {
        text.remove_prefix(at + last.size() + 1);
      }
    }
    for (const absl::string_view line :
         absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      out_ << source << " | " << line << "\n";
      last = std::string(line);
    }
    out_.flush();
  }

  void Resume() {
    for (const auto& [source, line] : last_line_) resumed_[source] = true;
  }

 private:
  std::ostream& out_;
  std::map<std::string, std::string> last_line_;
  std::map<std::string, bool> resumed_;
};

absl::Status PrintLogs(Session& session, const LogOptions& options) {
  Clock& clock = session.environment().clock;
  LORY_ASSIGN_OR_RETURN(const auto channel, session.Channel());
  JobService::Stub stub(channel);
  lory::v1::StreamJobLogsRequest request;
  request.set_name(FullName("jobs", options.name));
  request.set_follow(options.follow);
  request.set_tail_lines(options.tail_lines);
  LogPrinter printer(session.out());
  bool was_there = false;
  absl::Time last_heard = clock.MonotonicNow();
  while (true) {
    grpc::ClientContext context;
    const auto reader = stub.StreamJobLogs(&context, request);
    LogChunk chunk;
    while (reader->Read(&chunk)) {
      was_there = true;
      last_heard = clock.MonotonicNow();
      printer.Print(chunk);
    }
    const absl::Status status = rpc::FromGrpc(reader->Finish());
    if (status.ok()) return status;
    const bool may_return = options.follow && was_there &&
                            absl::IsUnavailable(status) &&
                            clock.MonotonicNow() - last_heard < kAwayFor;
    if (!may_return) {
      if (ReasonOf(status) == "LOG_NOT_FOUND") {
        return WithHint(status, absl::StrCat("loryctl job timeline ",
                                             ShortName(request.name())));
      }
      return WithHint(session.Explain(status), absl::StatusCode::kNotFound,
                      "loryctl job list");
    }
    printer.Resume();
    request.set_tail_lines(kOverlapLines);
    clock.SleepFor(kReconnectEvery);
  }
}

}  // namespace

void AddLogsCommand(CommandLine& line, CLI::App& job) {
  auto options = std::make_shared<LogOptions>();
  CLI::App& verb = line.AddVerb(
      job, "logs", "Print what the trainers of a job wrote",
      {"loryctl job logs tiny", "loryctl job logs tiny -f --tail 20"},
      [=](Session& session) { return PrintLogs(session, *options); });
  verb.add_option("name", options->name, "name of the job")->required();
  verb.add_flag("-f,--follow", options->follow,
                "go on with new lines until the job ends");
  verb.add_option("--tail", options->tail_lines,
                  "only the last so many lines of each trainer")
      ->type_name("LINES")
      ->check(flags::FromZero());
}

}  // namespace lory::ctl
