#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/config/job_file.h"
#include "common/config/job_validation.h"
#include "common/io/storage.h"
#include "lory/v1/job.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_checks.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/job_watch.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobService;

struct SubmitOptions {
  std::string file;
  std::vector<std::string> overrides;
  std::string name;
  bool dry_run = false;
  bool offline = false;
  bool watch = false;
};

absl::StatusOr<std::string> ReadInput(Environment& environment,
                                      const std::string& path) {
  if (path == "-") {
    return std::string(std::istreambuf_iterator<char>(environment.in), {});
  }
  auto text = io::LocalStorage().Read(path);
  if (text.ok()) return text;
  return WithHint(text.status(), absl::StatusCode::kNotFound,
                  "name the file with -f; docs/job-file.md says what is in it");
}

absl::StatusOr<config::JobFile> ReadJobFile(Session& session,
                                            const SubmitOptions& options) {
  LORY_ASSIGN_OR_RETURN(const std::string text,
                        ReadInput(session.environment(), options.file));
  auto file =
      config::ParseJobFile(text, options.file == "-" ? "(stdin)" : options.file,
                           options.overrides, FindFileViolations);
  if (!file.ok()) {
    return WithHint(file.status(), "loryctl help job-file");
  }
  if (!options.name.empty()) file->name = options.name;
  return file;
}

absl::Status PrintOffline(Session& session, const config::JobFile& file) {
  session.out() << config::JobFileText(
      file.name, config::FillDefaults(WithStandIns(file.spec)));
  if (TakesModelOfCheckpoint(file.spec)) {
    session.err() << "the model is that of " << file.spec.init_from()
                  << "\nthe coordinator was not asked (--offline)\n";
    return absl::OkStatus();
  }
  if (file.spec.model().vocabulary_size() == 0 ||
      file.spec.model().sequence_length() == 0) {
    session.err() << "the vocabulary and the sequence length are the dataset's;"
                     " those above are examples\n";
  }
  const lory::v1::ModelSpec model = WithStandIns(file.spec).model();
  session.err() << "model: " << ModelText(model)
                << "\nparameters: " << ParameterText(model)
                << "\nthe coordinator was not asked (--offline)\n";
  return absl::OkStatus();
}

absl::Status PrintSubmitted(Session& session, const Job& job, bool dry_run) {
  const std::string name = ShortName(job.name());
  if (dry_run) {
    if (session.format() == OutputFormat::kTable) {
      session.out() << config::JobFileText(name, job.spec());
      session.err() << "model: " << ModelText(job.spec().model())
                    << "\nparameters: " << ParameterText(job.spec().model())
                    << "\nnothing was submitted (--dry-run)\n";
      return absl::OkStatus();
    }
    return session.Print(job, job.name(), [] {});
  }
  return session.Print(job, job.name(), [&] {
    session.out() << job.name() << "\n";
    session.err() << name << " is submitted: " << ModelText(job.spec().model())
                  << "\nfollow it: loryctl job watch " << name << "\n";
  });
}

absl::Status Submit(Session& session, const SubmitOptions& options) {
  if (options.offline && !options.dry_run) {
    return absl::InvalidArgumentError("--offline goes with --dry-run only");
  }
  if (options.watch && options.dry_run) {
    return absl::InvalidArgumentError(
        "--watch has nothing to watch with --dry-run");
  }
  LORY_ASSIGN_OR_RETURN(config::JobFile file, ReadJobFile(session, options));
  LORY_RETURN_IF_ERROR(CheckJobFile(file));
  if (options.offline) return PrintOffline(session, file);
  LORY_RETURN_IF_ERROR(FillFromDataset(session, file));

  lory::v1::CreateJobRequest request;
  request.set_job_id(file.name);
  *request.mutable_spec() = file.spec;
  request.set_request_id(RandomUuid());
  request.set_validate_only(options.dry_run);
  auto job = session.Call(&JobService::Stub::CreateJob, request);
  if (!job.ok()) {
    absl::Status status = config::LocateErrors(job.status(), file);
    status = WithHint(status, absl::StatusCode::kAlreadyExists,
                      absl::StrCat("choose another --name, or remove the old "
                                   "one: loryctl job delete ",
                                   file.name));
    status = HintAtDataset(status, file.spec);
    return file.spec.init_from().empty()
               ? WithHint(status, absl::StatusCode::kNotFound,
                          "loryctl dataset list")
               : status;
  }
  LORY_RETURN_IF_ERROR(PrintSubmitted(session, *job, options.dry_run));
  if (!options.watch) return absl::OkStatus();
  return WatchJob(session, job->name());
}

}  // namespace

void AddSubmitCommand(CommandLine& line, CLI::App& job) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App& verb = line.AddVerb(
      job, "submit", "Submit a job described by a job.yaml",
      {"loryctl job submit -f job.yaml",
       "loryctl job submit -f job.yaml --name lr3 --set "
       "optimizer.learning_rate=3e-4 --watch",
       "loryctl job submit -f job.yaml --dry-run",
       "loryctl job get tiny --job-file | loryctl job submit -f - --name "
       "again"},
      [=](Session& session) { return Submit(session, *options); });
  verb.add_option("-f,--file", options->file, "job.yaml; - for stdin")
      ->required()
      ->type_name("FILE");
  verb.add_option("--set", options->overrides,
                  "lay a value over the file; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb.add_option("--name", options->name, "name of the job, over the file's")
      ->type_name("NAME");
  verb.add_flag("--dry-run", options->dry_run,
                "check everything and print the whole job, submit nothing");
  verb.add_flag("--offline", options->offline,
                "with --dry-run: check without asking the coordinator");
  verb.add_flag("-w,--watch", options->watch, "follow the job until it ends");
}

}  // namespace lory::ctl
