#include <google/protobuf/struct.pb.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/error_detail.h"
#include "common/io/storage.h"
#include "lory/v1/job.grpc.pb.h"
#include "lory/v1/server_info.grpc.pb.h"
#include "lory/v1/worker.grpc.pb.h"
#include "tools/loryctl/certificates.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobEvent;
using ::lory::v1::JobService;
using ::lory::v1::ServerInfoService;
using ::lory::v1::TrainerStatus;
using ::lory::v1::Worker;
using ::lory::v1::WorkerAdminService;

constexpr absl::Duration kExpiresSoon = absl::Hours(24 * 30);
// More than certificates, ages and timelines forgive.
constexpr absl::Duration kClocksDiffer = absl::Seconds(5);

enum class Finding { kGood, kWarning, kBad };

absl::string_view WordOf(Finding finding) {
  return finding == Finding::kGood      ? "ok"
         : finding == Finding::kWarning ? "warning"
                                        : "BAD";
}

// Whether a job that goes on after it may use every slot again.
bool LiftsBars(const JobEvent& event) {
  if (event.kind() != JobEvent::STATE_CHANGED) return false;
  const auto found = event.attributes().find("state");
  Job::State state = Job::STATE_UNSPECIFIED;
  return found != event.attributes().end() &&
         Job::State_Parse(found->second, &state) &&
         (state == Job::PAUSED || IsFinal(state));
}

// Prints one line a check, or all as JSON at the end, and remembers whether all
// was well.
class Doctor {
 public:
  explicit Doctor(Session& session) : session_(session) {}

  // After all checks, also where one ended them.
  void Finish() {
    if (session_.format() == OutputFormat::kJson) {
      session_.out() << JsonOf(findings_);
    }
  }

  void Say(Finding finding, absl::string_view what, absl::string_view text) {
    if (finding == Finding::kBad) ++bad_;
    if (session_.format() == OutputFormat::kJson) {
      return Keep(finding, what, text);
    }
    const Color color = finding == Finding::kGood      ? Color::kGood
                        : finding == Finding::kWarning ? Color::kWarn
                                                       : Color::kBad;
    std::string word(WordOf(finding));
    word.resize(7, ' ');
    std::string label(what);
    label.resize(15, ' ');
    session_.out() << Colored(session_.environment(), color, word) << "  "
                   << label << text << "\n";
  }

  void Certificates() {
    const Settings& settings = session_.settings();
    if (settings.tls_ca.empty() && settings.tls_cert.empty() &&
        settings.tls_key.empty()) {
      return Say(Finding::kGood, "certificates",
                 "none: plain text, which is allowed on loopback only");
    }
    for (const std::string* path : {&settings.tls_ca, &settings.tls_cert}) {
      Certificate(*path);
    }
  }

  // OK: it answers; then the workers can be asked about.
  absl::Status Coordinator() {
    const Settings& settings = session_.settings();
    const std::string where =
        absl::StrCat(settings.server, " (", settings.server_origin, ")");
    Clock& clock = session_.environment().clock;
    const absl::Time start = clock.MonotonicNow();
    lory::v1::ListJobsRequest request;
    request.set_page_size(kPageSize);
    const auto jobs = session_.Call(&JobService::Stub::ListJobs, request);
    if (!jobs.ok()) {
      Say(Finding::kBad, "coordinator", jobs.status().message());
      return jobs.status();
    }
    Say(Finding::kGood, "coordinator",
        absl::StrCat(
            where, " answers in ",
            Decimals(absl::ToDoubleMilliseconds(clock.MonotonicNow() - start),
                     1),
            " ms"));
    int failed = 0;
    for (const auto& job : jobs->jobs()) {
      failed += job.state() == Job::FAILED;
      if (!IsFinal(job.state())) going_.push_back(job.name());
    }
    Say(failed == 0 ? Finding::kGood : Finding::kWarning, "jobs",
        absl::StrCat(jobs->jobs_size(),
                     jobs->next_page_token().empty() ? "" : " or more", ", ",
                     failed, " failed"));
    return absl::OkStatus();
  }

  // Who the coordinator is; nothing else can tell why a call that this loryctl
  // makes is unknown to it.
  void Server() {
    Clock& clock = session_.environment().clock;
    const auto info = session_.Call(&ServerInfoService::Stub::GetServerInfo,
                                    lory::v1::GetServerInfoRequest());
    if (absl::IsUnimplemented(info.status())) {
      return Say(Finding::kWarning, "version",
                 absl::StrCat("loryctl ", LORY_VERSION,
                              ", but the coordinator is too old to say its "
                              "version: install the same release on both"));
    }
    if (!info.ok()) {
      return Say(Finding::kBad, "version", info.status().message());
    }
    server_version_ = info->version();
    const bool same = server_version_ == LORY_VERSION;
    Say(same ? Finding::kGood : Finding::kWarning, "version",
        same ? absl::StrCat("coordinator and loryctl ", LORY_VERSION)
             : absl::StrCat("the coordinator has ", server_version_,
                            ", this loryctl ", LORY_VERSION,
                            ": install the same release on both"));
    const absl::Duration apart =
        absl::AbsDuration(clock.WallNow() - TimeOf(info->time()));
    Say(apart < kClocksDiffer ? Finding::kGood : Finding::kWarning, "clocks",
        absl::StrCat("the coordinator's and this host's differ by ",
                     Brief(apart),
                     apart < kClocksDiffer
                         ? ""
                         : ": certificates and ages will be wrong; set them by "
                           "NTP"));
  }

  void Workers() {
    lory::v1::ListWorkersRequest request;
    request.set_page_size(kPageSize);
    const auto workers =
        session_.Call(&WorkerAdminService::Stub::ListWorkers, request);
    if (!workers.ok()) {
      return Say(Finding::kBad, "workers", workers.status().message());
    }
    std::vector<std::string> lost, others;
    bool takes_work = false;
    for (const Worker& worker : workers->workers()) {
      takes_work |= worker.state() == Worker::READY;
      if (worker.state() == Worker::LOST) {
        lost.push_back(ShortName(worker.name()));
      } else if (!server_version_.empty() &&
                 worker.description().version() != server_version_) {
        others.push_back(absl::StrCat(ShortName(worker.name()), " has ",
                                      worker.description().version()));
      }
    }
    Say(lost.empty() && takes_work ? Finding::kGood : Finding::kWarning,
        "workers",
        absl::StrCat(
            workers->workers_size(),
            lost.empty() ? ", none lost"
                         : absl::StrCat(", lost: ", absl::StrJoin(lost, ", ")),
            takes_work ? "" : ", but none takes work: loryctl worker list"));
    if (!others.empty()) {
      Say(Finding::kWarning, "workers",
          absl::StrCat("the coordinator has ", server_version_, ", but ",
                       absl::StrJoin(others, ", "),
                       ": install the same release on all"));
    }
    for (const Worker& worker : workers->workers()) TrainersOf(worker);
  }

  // Where no trainer of a job that goes on starts, as its events tell.
  void Barred() {
    const absl::Time now = session_.environment().clock.WallNow();
    for (const std::string& job : going_) {
      lory::v1::ListJobEventsRequest request;
      request.set_parent(job);
      std::map<std::string, JobEvent> newest;  // by what they say
      do {
        const auto page =
            session_.Call(&JobService::Stub::ListJobEvents, request);
        if (!page.ok()) {
          Say(Finding::kBad, "trainers", page.status().message());
          break;
        }
        for (const JobEvent& event : page->events()) {
          if (LiftsBars(event)) newest.clear();
          if (event.kind() != JobEvent::SLOT_BARRED) continue;
          newest[event.message()] = event;
        }
        request.set_page_token(page->next_page_token());
      } while (!request.page_token().empty());
      for (const auto& [message, event] : newest) {
        const auto lasts = event.attributes().find("seconds");
        int64_t seconds = 0;
        if (lasts != event.attributes().end() &&
            absl::SimpleAtoi(lasts->second, &seconds) &&
            now - TimeOf(event.time()) > absl::Seconds(seconds)) {
          continue;
        }
        Say(Finding::kWarning, "trainers",
            absl::StrCat(ShortName(job), ", ", Age(event.time(), now),
                         " ago: ", OneLine(message)));
      }
    }
  }

  int bad() const { return bad_; }

 private:
  void Keep(Finding finding, absl::string_view what, absl::string_view text) {
    auto& list =
        *(*findings_.mutable_fields())["findings"].mutable_list_value();
    auto& fields = *list.add_values()->mutable_struct_value()->mutable_fields();
    fields["finding"].set_string_value(absl::AsciiStrToLower(WordOf(finding)));
    fields["check"].set_string_value(std::string(what));
    fields["message"].set_string_value(std::string(text));
  }

  // Those of a worker that could not go on, or did not start.
  void TrainersOf(const Worker& worker) {
    for (const TrainerStatus& trainer : worker.trainers()) {
      const bool failed = trainer.phase() == TrainerStatus::FAILED ||
                          (trainer.phase() == TrainerStatus::EXITED &&
                           trainer.exit_status() != 0);
      if (!failed || trainer.error().empty()) continue;
      Say(Finding::kWarning, "trainers",
          absl::StrCat(ShortName(worker.name()), " slot ", trainer.slot(),
                       ", of ", ShortName(trainer.job()), ": ",
                       OneLine(trainer.error())));
    }
  }

  void Certificate(const std::string& path) {
    if (path.empty()) {
      return Say(Finding::kBad, "certificates",
                 "--tls-ca, --tls-cert and --tls-key go together");
    }
    const auto text = io::LocalStorage().Read(path);
    if (!text.ok()) {
      return Say(Finding::kBad, "certificates", text.status().message());
    }
    const auto info = ReadCertificate(*text);
    if (!info.ok()) {
      return Say(Finding::kBad, "certificates",
                 absl::StrCat(path, ": ", info.status().message()));
    }
    const absl::Time now = session_.environment().clock.WallNow();
    const absl::Duration left = info->not_after - now;
    if (left <= absl::ZeroDuration()) {
      return Say(Finding::kBad, "certificates",
                 absl::StrCat(path, " expired ", Brief(-left), " ago"));
    }
    if (info->not_before > now) {
      return Say(Finding::kBad, "certificates",
                 absl::StrCat(path, " is not valid yet: check the clock"));
    }
    Say(left < kExpiresSoon ? Finding::kWarning : Finding::kGood,
        "certificates", absl::StrCat(path, " is valid for ", Brief(left)));
  }

  Session& session_;
  std::string server_version_;      // empty: it does not say
  std::vector<std::string> going_;  // jobs that have not ended
  int bad_ = 0;
  google::protobuf::Struct findings_;  // for JSON
};

absl::Status Look(Session& session, Doctor& doctor) {
  const std::string path = ConfigPath(session.environment());
  doctor.Say(Finding::kGood, "configuration",
             path.empty() ? "no home folder"
             : io::LocalStorage().Size(path).ok()
                 ? path
                 : absl::StrCat(path, " (not there)"));
  doctor.Certificates();
  const absl::Status reached = doctor.Coordinator();
  if (!reached.ok()) return reached;
  doctor.Server();
  doctor.Workers();
  doctor.Barred();
  if (doctor.bad() == 0) return absl::OkStatus();
  return absl::InternalError("not all is well");
}

absl::Status Examine(Session& session) {
  if (session.format() == OutputFormat::kYaml ||
      session.format() == OutputFormat::kName) {
    return absl::InvalidArgumentError(
        "doctor prints a table, or JSON with -o json");
  }
  Doctor doctor(session);
  const absl::Status status = Look(session, doctor);
  doctor.Finish();
  return status;
}

}  // namespace

void AddDoctorCommand(CommandLine& line) {
  line.AddVerb(line.root(), "doctor",
               "Look for what is wrong: connection, certificates, versions, "
               "clocks, workers, trainers",
               {"loryctl doctor", "loryctl doctor --server train-1:7440",
                "loryctl doctor -o json"},
               Examine);
}

}  // namespace lory::ctl
