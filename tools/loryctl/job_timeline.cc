#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lory/v1/job.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::JobEvent;
using ::lory::v1::JobService;
using Events = google::protobuf::RepeatedPtrField<JobEvent>;

constexpr int kEventsPerPage = 1000;

absl::StatusOr<Events> AllEvents(Session& session, const std::string& job) {
  lory::v1::ListJobEventsRequest request;
  request.set_parent(job);
  request.set_page_size(kEventsPerPage);
  Events all;
  do {
    LORY_ASSIGN_OR_RETURN(
        auto page, session.Call(&JobService::Stub::ListJobEvents, request));
    all.MergeFrom(page.events());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

double SecondsOf(const JobEvent& event) {
  double seconds = 0;
  const auto it = event.attributes().find("seconds");
  if (it == event.attributes().end() ||
      !absl::SimpleAtod(it->second, &seconds)) {
    return 0;
  }
  return seconds;
}

Color EventColor(const JobEvent& event) {
  switch (event.kind()) {
    case JobEvent::RECOVERED:
      return Color::kWarn;
    case JobEvent::CHECKPOINT_GONE:
    case JobEvent::GENERATION_ENDED:
      return Color::kFaint;
    default:
      return Color::kPlain;
  }
}

// How long what began with events[i] lasted: a state until the next state, a
// recovery and an evaluation as they say themselves.
std::string TookText(const Events& events, int i) {
  const JobEvent& event = events[i];
  if (const double seconds = SecondsOf(event); seconds > 0) {
    return Brief(absl::Seconds(seconds));
  }
  if (event.kind() != JobEvent::STATE_CHANGED) return "";
  for (int j = i + 1; j < events.size(); ++j) {
    if (events[j].kind() != JobEvent::STATE_CHANGED) continue;
    return Brief(TimeOf(events[j].time()) - TimeOf(event.time()));
  }
  return "";
}

void PrintSummary(Session& session, const Events& events) {
  int recoveries = 0;
  double lost = 0;
  for (const JobEvent& event : events) {
    if (event.kind() != JobEvent::RECOVERED) continue;
    ++recoveries;
    lost += SecondsOf(event);
  }
  session.err() << recoveries
                << (recoveries == 1 ? " recovery" : " recoveries");
  if (recoveries > 0) {
    session.err() << ", " << Brief(absl::Seconds(lost)) << " in all";
  }
  session.err() << "\n";
}

absl::Status PrintTimeline(Session& session, const std::string& name,
                           bool utc) {
  auto events = AllEvents(session, FullName("jobs", name));
  if (!events.ok()) {
    return WithHint(events.status(), absl::StatusCode::kNotFound,
                    "loryctl job list");
  }
  if (session.PrintList("events", *events)) return absl::OkStatus();
  if (events->empty()) {
    session.err() << "nothing has happened yet\n";
    return absl::OkStatus();
  }
  const absl::TimeZone zone = utc ? absl::UTCTimeZone() : absl::LocalTimeZone();
  const absl::Time start = TimeOf((*events)[0].time());
  Table table({"TIME", ">AFTER", ">TOOK", "", "EVENT", ">GENERATION", ">STEP",
               "MESSAGE"});
  for (int i = 0; i < events->size(); ++i) {
    const JobEvent& event = (*events)[i];
    const Color color = EventColor(event);
    const auto cell = [&](std::string text) {
      return Cell(std::move(text), color);
    };
    table.Add(
        {cell(Calendar(TimeOf(event.time()), zone)),
         cell(Brief(TimeOf(event.time()) - start)), cell(TookText(*events, i)),
         cell(event.kind() == JobEvent::RECOVERED ? ">>" : ""),
         cell(JobEvent::Kind_Name(event.kind())),
         cell(event.generation() > 0 ? absl::StrCat(event.generation()) : ""),
         cell(event.step() >= 0 ? absl::StrCat(event.step()) : ""),
         cell(event.message())});
  }
  table.Print(session.environment());
  PrintSummary(session, *events);
  return absl::OkStatus();
}

}  // namespace

void AddTimelineCommand(CommandLine& line, CLI::App& job) {
  auto name = std::make_shared<std::string>();
  auto utc = std::make_shared<bool>(false);
  CLI::App& verb = line.AddVerb(
      job, "timeline",
      "What happened to a job, with times; >> marks recoveries",
      {"loryctl job timeline tiny", "loryctl job timeline tiny --utc -o json"},
      [=](Session& session) { return PrintTimeline(session, *name, *utc); });
  verb.add_option("name", *name, "name of the job")->required();
  verb.add_flag("--utc", *utc, "times in UTC instead of local time");
}

}  // namespace lory::ctl
