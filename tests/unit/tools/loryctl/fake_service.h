#ifndef LORY_TESTS_UNIT_TOOLS_LORYCTL_FAKE_SERVICE_H_
#define LORY_TESTS_UNIT_TOOLS_LORYCTL_FAKE_SERVICE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "common/rpc/server.h"
#include "lory/v1/checkpoint.grpc.pb.h"
#include "lory/v1/dataset.grpc.pb.h"
#include "lory/v1/job.grpc.pb.h"
#include "lory/v1/server_info.grpc.pb.h"
#include "lory/v1/worker.grpc.pb.h"

namespace lory::ctl {

// A coordinator that answers what a test put into it and keeps what it was
// asked. Every method first returns the error set for its name, if any.
class FakeService {
 public:
  // What it answers; set before the first call, or by Change.
  std::vector<lory::v1::Job> jobs;
  std::vector<lory::v1::Job> watched;  // streamed one after the other
  std::vector<lory::v1::JobEvent> events;
  std::vector<lory::v1::Worker> workers;
  std::vector<lory::v1::Dataset> datasets;
  std::vector<lory::v1::Checkpoint> checkpoints;
  std::vector<lory::v1::LogChunk> logs;
  std::vector<std::string> sentences;
  lory::v1::ServerInfo server_info;
  std::map<std::string, absl::Status> errors;  // by method
  // If set: makes of what CreateJob answers what the job becomes; it is among
  // `jobs` from then on.
  std::function<void(lory::v1::Job&)> on_create;

  FakeService();
  ~FakeService();

  // Listens on a port of the system's choice.
  void Start(const rpc::TlsFiles& tls = {},
             const std::string& address = "127.0.0.1:0");
  std::string address() const { return server_->address(); }

  // Runs `change`, which sets other answers, while no call reads them.
  void Change(const std::function<void()>& change);

  // Text forms of the requests it got: "CreateJob job_id: ...".
  std::vector<std::string> requests();

 private:
  class Jobs;
  class Workers;
  class Datasets;
  class Checkpoints;
  class Info;

  // Notes the call; the error to answer it with.
  grpc::Status Enter(absl::string_view method,
                     const google::protobuf::Message& request);

  Mutex mutex_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Jobs> job_service_;
  std::unique_ptr<Workers> worker_service_;
  std::unique_ptr<Datasets> dataset_service_;
  std::unique_ptr<Checkpoints> checkpoint_service_;
  std::unique_ptr<Info> info_service_;
  std::unique_ptr<rpc::Server> server_;
};

// What one call of loryctl did.
struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

// A terminal that is none, or the likeness of one.
struct Terminal {
  bool is_terminal = false;
  bool utf8 = false;
  int columns = 80;
  std::map<std::string, std::string> variables;
  std::string input;
  bool full = false;  // nothing more goes to standard output
  // Answers of Environment::wait_for_stop; null: nobody presses Ctrl-C.
  std::function<bool()> stops = nullptr;
};

// Runs `loryctl arguments...` in this process, at 1970-01-12 13:46:40 UTC.
Outcome Loryctl(const std::vector<std::string>& arguments,
                const Terminal& terminal = {});

// A job that trains, with everything the views show.
lory::v1::Job TrainingJob();

}  // namespace lory::ctl

#endif  // LORY_TESTS_UNIT_TOOLS_LORYCTL_FAKE_SERVICE_H_
