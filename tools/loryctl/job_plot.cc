#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/error_detail.h"
#include "common/io/storage.h"
#include "lory/v1/checkpoint.grpc.pb.h"
#include "lory/v1/job.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/plot.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::CheckpointService;
using ::lory::v1::Job;
using ::lory::v1::JobService;
// By step: a step trained again by a later generation replaces the earlier.
using Curve = std::map<int64_t, double>;

struct PlotCommandOptions {
  std::string name;
  std::string field = "loss";
  std::string title;  // for people
  std::string file;
  bool live = false;
  int rows = 16;
};

// The rank-0 trainer's lines: {"step": 12, "loss": 4.5, ...}. A line that is
// still being written is skipped.
Curve ReadCurve(const std::string& text, const std::string& field) {
  Curve curve;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const auto record = nlohmann::json::parse(line.begin(), line.end(), nullptr,
                                              /*allow_exceptions=*/false);
    if (!record.is_object() || !record.contains("step") ||
        !record.contains(field) || !record["step"].is_number() ||
        !record[field].is_number()) {
      continue;
    }
    curve[record["step"].get<int64_t>()] = record[field].get<double>();
  }
  return curve;
}

// No step has the field: because there is none yet, or because it is no number
// that steps have; then those that they do have are named.
absl::Status NoSuchField(const std::string& text, const std::string& field) {
  std::set<std::string> known;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const auto record = nlohmann::json::parse(line.begin(), line.end(), nullptr,
                                              /*allow_exceptions=*/false);
    if (!record.is_object()) continue;
    for (const auto& [key, value] : record.items()) {
      if (value.is_number() && key != "step") known.insert(key);
    }
  }
  if (known.empty()) return absl::NotFoundError("no step is applied yet");
  return absl::InvalidArgumentError(absl::StrCat("steps have no number '",
                                                 field, "'; they have ",
                                                 absl::StrJoin(known, ", ")));
}

// The job's folder, as its checkpoints name it: the parent of checkpoints/.
absl::StatusOr<std::string> MetricsFile(Session& session,
                                        const std::string& name) {
  lory::v1::ListCheckpointsRequest request;
  request.set_parent(FullName("jobs", name));
  LORY_ASSIGN_OR_RETURN(
      const auto page,
      session.Call(&CheckpointService::Stub::ListCheckpoints, request));
  for (const auto& checkpoint : page.checkpoints()) {
    const std::string& folder = checkpoint.folder();
    const size_t at = folder.rfind("/checkpoints/");
    if (at == std::string::npos) continue;
    return absl::StrCat(folder.substr(0, at), "/metrics/steps.jsonl");
  }
  return absl::NotFoundError(absl::StrCat("no checkpoint of ", ShortName(name),
                                          " says where its metrics are"));
}

absl::Status NoSteps(const std::string& name) {
  return WithHint(absl::FailedPreconditionError(absl::StrCat(
                      name, " is of kind evaluate: it takes no steps to plot")),
                  absl::StrCat("what it found: loryctl job get ", name));
}

// What a plot is called: "loss", or what an adaptation makes of it.
std::string TitleOf(const Job& job, const std::string& field) {
  return field == "loss" ? LossName(job) : field;
}

// With digits to tell a learning rate of 6e-05 from one of 1e-04.
std::string Figure(double value) {
  const double size = std::abs(value);
  return size == 0 || (size >= 0.1 && size < 1000)
             ? Decimals(value, 4)
             : absl::StrFormat("%.6g", value);
}

void PrintCurve(Session& session, const Curve& curve,
                const PlotCommandOptions& options) {
  std::vector<PlotPoint> points;
  for (const auto& [step, value] : curve) {
    points.push_back({static_cast<double>(step), value});
  }
  Environment& environment = session.environment();
  session.out() << options.title << " by step";
  if (!curve.empty()) {
    session.out() << ": first " << Figure(curve.begin()->second) << ", last "
                  << Figure(curve.rbegin()->second);
  }
  session.out() << "\n"
                << PlotText(points, {.columns = environment.columns,
                                     .rows = options.rows,
                                     .utf8 = environment.utf8});
}

absl::Status PrintData(Session& session, const Curve& curve,
                       const PlotCommandOptions& options) {
  if (curve.empty()) return absl::NotFoundError("no step was heard of");
  if (session.format() == OutputFormat::kTable) {
    PrintCurve(session, curve, options);
    return absl::OkStatus();
  }
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  for (const auto& [step, value] : curve) {
    points.push_back({{"step", step}, {options.field, value}});
  }
  // JSON is YAML too.
  session.out() << nlohmann::ordered_json{{"points", points}}.dump(1) << "\n";
  return absl::OkStatus();
}

// What the coordinator streams from now on, drawn anew at each change.
absl::Status PlotLive(Session& session, PlotCommandOptions options) {
  if (options.field != "loss") {
    return absl::InvalidArgumentError("--live plots the loss only");
  }
  LORY_ASSIGN_OR_RETURN(const auto channel, session.Channel());
  JobService::Stub stub(channel);
  lory::v1::GetJobRequest request;
  request.set_name(FullName("jobs", options.name));
  grpc::ClientContext context;
  const auto reader = stub.WatchJob(&context, request);
  Curve curve;
  Job job;
  const bool redraws = session.environment().out_is_terminal;
  while (reader->Read(&job)) {
    if (!TakesSteps(job)) {
      context.TryCancel();
      IgnoreStatus(rpc::FromGrpc(reader->Finish()), "cancelled just now");
      return NoSteps(options.name);
    }
    options.title = TitleOf(job, options.field);
    if (job.progress().step() == 0) continue;
    curve[job.progress().step()] = job.progress().loss();
    if (!redraws) continue;
    session.out() << "\x1b[2J\x1b[H" << ProgressLine(job) << "\n";
    PrintCurve(session, curve, options);
    session.out().flush();
  }
  LORY_RETURN_IF_ERROR(session.Explain(rpc::FromGrpc(reader->Finish())));
  return redraws ? absl::OkStatus() : PrintData(session, curve, options);
}

absl::Status Plot(Session& session, PlotCommandOptions options) {
  if (options.live) return PlotLive(session, options);
  options.title = options.field;
  bool has_ended = false;
  std::string path = options.file;
  if (path.empty()) {
    lory::v1::GetJobRequest request;
    request.set_name(FullName("jobs", options.name));
    // Where it cannot be had, neither can the next.
    const auto job = session.Call(&JobService::Stub::GetJob, request);
    if (job.ok()) {
      if (!TakesSteps(*job)) return NoSteps(options.name);
      options.title = TitleOf(*job, options.field);
      has_ended = IsFinal(job->state());
    }
    const auto found = MetricsFile(session, options.name);
    if (!found.ok()) {
      const bool no_job = ReasonOf(found.status()) == "JOB_NOT_FOUND";
      if (no_job) return WithHint(found.status(), "loryctl job list");
      return WithHint(
          found.status(), absl::StatusCode::kNotFound,
          absl::StrCat(has_ended ? ""
                                 : absl::StrCat("loryctl job plot ",
                                                options.name, " --live, or "),
                       "name the job folder's "
                       "metrics/steps.jsonl with --file"));
    }
    path = *found;
  }
  const auto text = io::LocalStorage().Read(path);
  if (!text.ok()) {
    return WithHint(text.status(),
                    absl::StrCat("run this where the storage is mounted, or "
                                 "loryctl job plot ",
                                 options.name, " --live"));
  }
  const Curve curve = ReadCurve(*text, options.field);
  return curve.empty() ? NoSuchField(*text, options.field)
                       : PrintData(session, curve, options);
}

}  // namespace

void AddPlotCommand(CommandLine& line, CLI::App& job) {
  auto options = std::make_shared<PlotCommandOptions>();
  CLI::App& verb = line.AddVerb(
      job, "plot", "Draw the loss of a job, or another number, by step",
      {"loryctl job plot tiny", "loryctl job plot tiny --live",
       "loryctl job plot tiny --field active_share",
       "loryctl job plot tiny --file /storage/jobs/tiny/metrics/steps.jsonl"},
      [=](Session& session) { return Plot(session, *options); });
  verb.add_option("name", options->name, "name of the job")->required();
  verb.add_option("--field", options->field,
                  "which number of metrics/steps.jsonl (default: loss)")
      ->type_name("FIELD");
  verb.add_option("--file", options->file,
                  "metrics/steps.jsonl of the job's folder (default: found by "
                  "its checkpoints)")
      ->type_name("FILE");
  verb.add_flag("--live", options->live,
                "plot what happens from now on, until the job ends");
  verb.add_option("--rows", options->rows, "height (default: 16)")
      ->type_name("ROWS")
      ->check(CLI::Range(3, 200));
}

}  // namespace lory::ctl
