#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/random.h"
#include "lory/v1/checkpoint.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/state_color.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::CheckpointService;
using CheckpointStub = CheckpointService::Stub;

// How people name a checkpoint: "tiny 1200", "tiny/1200", "tiny" for the
// newest committed one, or the whole resource name.
struct CheckpointName {
  std::string job;
  std::string step;
  bool lost = false;  // of verify alone
};

absl::StatusOr<lory::v1::ListCheckpointsResponse> AllOf(
    Session& session, const std::string& job) {
  lory::v1::ListCheckpointsRequest request;
  request.set_parent(FullName("jobs", job));
  request.set_page_size(kPageSize);
  lory::v1::ListCheckpointsResponse all;
  do {
    auto page = session.Call(&CheckpointStub::ListCheckpoints, request);
    if (!page.ok()) {
      return WithHint(page.status(), absl::StatusCode::kNotFound,
                      "loryctl job list");
    }
    all.mutable_checkpoints()->MergeFrom(page->checkpoints());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return all;
}

absl::Status ListCheckpoints(Session& session, const std::string& job) {
  LORY_ASSIGN_OR_RETURN(const auto all, AllOf(session, job));
  if (session.PrintList("checkpoints", all.checkpoints())) {
    return absl::OkStatus();
  }
  if (all.checkpoints().empty()) {
    session.err() << "no checkpoints yet\n";
    return absl::OkStatus();
  }
  const absl::Time now = session.environment().clock.WallNow();
  Table table({">STEP", "STATE", ">GENERATION", ">SIZE", ">PARTS", ">AGE",
               "SAMPLES", "REASON"});
  for (const Checkpoint& checkpoint : all.checkpoints()) {
    table.Add({absl::StrCat(checkpoint.step()),
               {Checkpoint::State_Name(checkpoint.state()),
                ColorOf(checkpoint.state())},
               absl::StrCat(checkpoint.generation()),
               Bytes(checkpoint.size_bytes()),
               absl::StrCat(checkpoint.parts_size()),
               Age(checkpoint.commit_time(), now),
               absl::BytesToHexString(checkpoint.sample_digest().substr(0, 8)),
               checkpoint.reason()});
  }
  table.Print(session.environment());
  return absl::OkStatus();
}

// The resource name; without a step, of the newest committed one.
absl::StatusOr<std::string> Resolve(Session& session,
                                    const CheckpointName& given,
                                    bool may_be_newest) {
  CheckpointName name = given;
  if (absl::StartsWith(name.job, "jobs/")) name.job = name.job.substr(5);
  const std::vector<std::string> parts = absl::StrSplit(name.job, '/');
  if (parts.size() == 3 && parts[1] == "checkpoints") {
    name = {parts[0], parts[2]};
  } else if (parts.size() == 2) {
    name = {parts[0], parts[1]};
  }
  int64_t step = 0;
  if (!name.step.empty() && !absl::SimpleAtoi(name.step, &step)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name.step,
                     "' is not a step; write a number, as in "
                     "`loryctl checkpoint get ",
                     name.job, " 1200`"));
  }
  if (name.step.empty()) {
    if (!may_be_newest) {
      return WithHint(absl::InvalidArgumentError(
                          "say which step, so that none is deleted by mistake"),
                      absl::StrCat("loryctl checkpoint list ", name.job));
    }
    LORY_ASSIGN_OR_RETURN(const auto all, AllOf(session, name.job));
    for (const Checkpoint& checkpoint : all.checkpoints()) {
      if (checkpoint.state() == Checkpoint::COMMITTED) {
        return checkpoint.name();
      }
    }
    return absl::NotFoundError(
        absl::StrCat("job ", name.job, " has no committed checkpoint"));
  }
  return absl::StrCat("jobs/", name.job, "/checkpoints/", step);
}

void PrintCheckpoint(Session& session, const Checkpoint& checkpoint) {
  Environment& environment = session.environment();
  const auto line = [&](absl::string_view label, absl::string_view text) {
    std::string padded(label);
    padded.resize(12, ' ');
    session.out() << "  " << Colored(environment, Color::kFaint, padded) << text
                  << "\n";
  };
  session.out() << checkpoint.name() << "  "
                << Colored(environment, ColorOf(checkpoint.state()),
                           Checkpoint::State_Name(checkpoint.state()))
                << "  " << checkpoint.reason() << "\n";
  line("step", absl::StrCat(checkpoint.step()));
  line("generation", absl::StrCat(checkpoint.generation()));
  line("size", Bytes(checkpoint.size_bytes()));
  line("committed",
       absl::StrCat(Age(checkpoint.commit_time(), environment.clock.WallNow()),
                    " ago"));
  line("folder", checkpoint.folder());
  line("manifest", absl::StrCat("sha256 ", checkpoint.manifest_sha256()));
  line("samples", absl::StrCat("chain ", absl::BytesToHexString(
                                             checkpoint.sample_digest())));
  if (checkpoint.parts().empty()) return;
  session.out() << "\nparts\n";
  Table table({"FILE", ">SIZE", "SHA-256"});
  for (const auto& part : checkpoint.parts()) {
    table.Add({part.file(), Bytes(part.size_bytes()), part.sha256()});
  }
  table.Print(environment, 2);
}

// `name` is jobs/{job}/checkpoints/{step}.
absl::Status Missing(const absl::Status& status, const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  return WithHint(
      status, absl::StatusCode::kNotFound,
      absl::StrCat("loryctl checkpoint list ", parts.size() > 1 ? parts[1] : "",
                   "; loryctl job list"));
}

absl::Status GetCheckpoint(Session& session, const CheckpointName& name) {
  lory::v1::GetCheckpointRequest request;
  LORY_ASSIGN_OR_RETURN(*request.mutable_name(), Resolve(session, name, true));
  auto found = session.Call(&CheckpointStub::GetCheckpoint, request);
  if (!found.ok()) return Missing(found.status(), request.name());
  return session.Print(*found, found->name(),
                       [&] { PrintCheckpoint(session, *found); });
}

absl::Status VerifyCheckpoint(Session& session, const CheckpointName& name) {
  lory::v1::GetCheckpointRequest request;
  LORY_ASSIGN_OR_RETURN(*request.mutable_name(), Resolve(session, name, true));
  request.set_storage_is_mounted(name.lost);
  auto found = session.Call(&CheckpointStub::VerifyCheckpoint, request);
  if (!found.ok()) return Missing(found.status(), request.name());
  LORY_RETURN_IF_ERROR(session.Print(*found, found->name(), [&] {
    session.out() << found->name() << "  "
                  << Checkpoint::State_Name(found->state()) << "  "
                  << found->reason() << "\n";
  }));
  if (found->state() == Checkpoint::COMMITTED) return absl::OkStatus();
  return WithExitCode(absl::DataLossError(absl::StrCat(
                          found->name(), " is damaged: ", found->reason())),
                      ExitCode::kJobFailed);
}

absl::Status DeleteCheckpoint(Session& session, const CheckpointName& name) {
  lory::v1::DeleteCheckpointRequest request;
  LORY_ASSIGN_OR_RETURN(*request.mutable_name(), Resolve(session, name, false));
  request.set_request_id(RandomUuid());
  auto found = session.Call(&CheckpointStub::DeleteCheckpoint, request);
  if (!found.ok()) return Missing(found.status(), request.name());
  session.out() << request.name() << "\n";
  session.err() << request.name() << " is deleted\n";
  return absl::OkStatus();
}

}  // namespace

void AddCheckpointCommands(CommandLine& line) {
  CLI::App& noun =
      line.AddNoun("checkpoint", "checkpoints",
                   "What jobs can be resumed from: list, verify, delete");
  auto job = std::make_shared<std::string>();
  line.AddVerb(noun, "list", "List a job's checkpoints, newest first",
               {"loryctl checkpoint list tiny"},
               [=](Session& session) { return ListCheckpoints(session, *job); })
      .add_option("job", *job, "name of the job")
      ->required();
  auto name = std::make_shared<CheckpointName>();
  const auto add = [&](const char* verb, const char* description,
                       std::vector<std::string> examples,
                       absl::Status (*action)(Session&, const CheckpointName&),
                       const char* step = "which one (default: the newest)") {
    CLI::App& app =
        line.AddVerb(noun, verb, description, examples,
                     [=](Session& session) { return action(session, *name); });
    app.add_option("job", name->job, "name of the job, or of the checkpoint")
        ->required();
    app.add_option("step", name->step, step);
    return &app;
  };
  add("get", "Show a checkpoint and its files",
      {"loryctl checkpoint get tiny", "loryctl checkpoint get tiny 1200"},
      GetCheckpoint);
  add("verify", "Read every file of a checkpoint again and compare hashes",
      {"loryctl checkpoint verify tiny 1200 --timeout 600",
       "loryctl checkpoint verify tiny 1200 --lost"},
      VerifyCheckpoint)
      ->add_flag("--lost", name->lost,
                 "where no checkpoint of the job is left: the storage is "
                 "mounted, they are lost");
  add("delete", "Delete a checkpoint's files; the step must be named",
      {"loryctl checkpoint delete tiny 1200"}, DeleteCheckpoint,
      "which one; needed beside the name of a job");
}

}  // namespace lory::ctl
