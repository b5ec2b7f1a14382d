#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "lory/v1/worker.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/state_color.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::TrainerStatus;
using ::lory::v1::Worker;
using ::lory::v1::WorkerAdminService;
using WorkerStub = WorkerAdminService::Stub;

constexpr char kFind[] = "loryctl worker list";

// Which jobs its trainers are at: "tiny, other".
std::string JobsOf(const Worker& worker) {
  std::vector<std::string> jobs;
  for (const TrainerStatus& trainer : worker.trainers()) {
    if (trainer.phase() == TrainerStatus::EXITED) continue;
    jobs.push_back(ShortName(trainer.job()));
  }
  return jobs.empty() ? "-" : absl::StrJoin(jobs, ", ");
}

absl::Status ListWorkers(Session& session) {
  lory::v1::ListWorkersRequest request;
  request.set_page_size(kPageSize);
  lory::v1::ListWorkersResponse all;
  do {
    LORY_ASSIGN_OR_RETURN(auto page,
                          session.Call(&WorkerStub::ListWorkers, request));
    all.mutable_workers()->MergeFrom(page.workers());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (session.PrintList("workers", all.workers())) return absl::OkStatus();
  if (all.workers().empty()) {
    session.err() << "no workers; lory-worker --coordinator "
                  << session.settings().server << " adds one\n";
    return absl::OkStatus();
  }
  const absl::Time now = session.environment().clock.WallNow();
  Table table({"NAME", "STATE", ">SLOTS", "DEVICE", ">CORES", ">MEMORY", "JOBS",
               ">HEARD", "REASON"});
  for (const Worker& worker : all.workers()) {
    const auto& host = worker.description();
    table.Add({ShortName(worker.name()),
               {Worker::State_Name(worker.state()), ColorOf(worker.state())},
               absl::StrCat(host.slot_count()),
               host.device_kind(),
               absl::StrCat(host.core_count()),
               Bytes(host.memory_bytes()),
               JobsOf(worker),
               absl::StrCat(Age(worker.last_heard_time(), now), " ago"),
               worker.reason()});
  }
  table.Print(session.environment());
  return absl::OkStatus();
}

void PrintWorker(Session& session, const Worker& worker) {
  Environment& environment = session.environment();
  const auto& host = worker.description();
  const auto line = [&](absl::string_view label, const std::string& text) {
    std::string padded(label);
    padded.resize(12, ' ');
    session.out() << "  " << Colored(environment, Color::kFaint, padded)
                  << (text.empty() ? "-" : text) << "\n";
  };
  session.out() << ShortName(worker.name()) << "  "
                << Colored(environment, ColorOf(worker.state()),
                           Worker::State_Name(worker.state()))
                << "  " << worker.reason() << "\n";
  line("version", host.version());
  line("device", absl::StrCat(host.device_kind(), ", ", host.device_name()));
  line("slots", absl::StrCat(host.slot_count()));
  line("host",
       absl::StrCat(host.core_count(), " cores, ", Bytes(host.memory_bytes())));
  line("control", host.control_endpoint());
  line("metrics", host.metrics_endpoint());
  line("heard",
       absl::StrCat(Age(worker.last_heard_time(), environment.clock.WallNow()),
                    " ago"));
  if (worker.trainers().empty()) return;
  session.out() << "\ntrainers\n";
  Table table({">SLOT", "JOB", "PHASE", ">GENERATION", ">STEP", ">PROCESS",
               ">MICRO-BATCH", "ERROR"});
  for (const TrainerStatus& trainer : worker.trainers()) {
    table.Add(
        {absl::StrCat(trainer.slot()), ShortName(trainer.job()),
         TrainerStatus::Phase_Name(trainer.phase()),
         absl::StrCat(trainer.generation()),
         absl::StrCat(trainer.applied_step()),
         absl::StrCat(trainer.process_id()),
         trainer.micro_batch_seconds() > 0
             ? absl::StrCat(Decimals(1000 * trainer.micro_batch_seconds(), 1),
                            " ms")
             : "-",
         trainer.error()});
  }
  table.Print(environment, 2);
}

absl::Status GetWorker(Session& session, const std::string& name) {
  lory::v1::GetWorkerRequest request;
  request.set_name(FullName("workers", name));
  auto worker = session.Call(&WorkerStub::GetWorker, request);
  if (!worker.ok()) {
    return WithHint(worker.status(), absl::StatusCode::kNotFound, kFind);
  }
  return session.Print(*worker, worker->name(),
                       [&] { PrintWorker(session, *worker); });
}

// What Drain, Undrain and Delete have in common.
struct WorkerVerb {
  const char* name;
  const char* description;
  grpc::Status (WorkerStub::*method)(grpc::ClientContext*,
                                     const lory::v1::WorkerVerbRequest&,
                                     Worker*);
};

constexpr WorkerVerb kVerbs[] = {
    {"drain", "Let a worker out; its jobs go on without it, or wait",
     &WorkerStub::DrainWorker},
    {"undrain", "Let a drained worker take work again",
     &WorkerStub::UndrainWorker},
    {"delete", "Forget a worker that is LOST; one that comes back is taken in",
     &WorkerStub::DeleteWorker},
};

absl::Status DoVerb(Session& session, const WorkerVerb& verb,
                    const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    lory::v1::WorkerVerbRequest request;
    request.set_name(FullName("workers", name));
    request.set_request_id(RandomUuid());
    auto worker = session.Call(verb.method, request);
    if (!worker.ok()) {
      return WithHint(worker.status(), absl::StatusCode::kNotFound, kFind);
    }
    session.out() << worker->name() << "\n";
    session.err() << ShortName(worker->name());
    if (verb.method == &WorkerStub::DeleteWorker) {
      session.err() << " is forgotten\n";
    } else {
      session.err() << ": " << Worker::State_Name(worker->state()) << ", "
                    << worker->reason() << "\n";
    }
  }
  return absl::OkStatus();
}

}  // namespace

void AddWorkerCommands(CommandLine& line) {
  CLI::App& worker = line.AddNoun(
      "worker", "workers", "Hosts that train: look at them, let them out");
  line.AddVerb(worker, "list", "List workers by name", {"loryctl worker list"},
               ListWorkers);
  auto name = std::make_shared<std::string>();
  line.AddVerb(worker, "get", "Show a worker and its trainers",
               {"loryctl worker get worker-a"},
               [=](Session& session) { return GetWorker(session, *name); })
      .add_option("name", *name, "name of the worker")
      ->required();
  for (const WorkerVerb& verb : kVerbs) {
    auto names = std::make_shared<std::vector<std::string>>();
    line.AddVerb(worker, verb.name, verb.description,
                 {absl::StrCat("loryctl worker ", verb.name, " worker-a")},
                 [names, &verb](Session& session) {
                   return DoVerb(session, verb, *names);
                 })
        .add_option("name", *names, "names of workers")
        ->required();
  }
}

}  // namespace lory::ctl
