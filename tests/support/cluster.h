#ifndef LORY_TESTS_SUPPORT_CLUSTER_H_
#define LORY_TESTS_SUPPORT_CLUSTER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lory/v1/dataset.grpc.pb.h"
#include "lory/v1/job.grpc.pb.h"
#include "lory/v1/worker.grpc.pb.h"
#include "tests/support/temporary_folder.h"
#include "worker/daemon/trainer_process.h"

namespace lory::testing {

// A real coordinator and real daemons, each a process of its own, under one
// folder; trainers are fake ones. Everything ends with the object.
// Thread-compatible.
class Cluster {
 public:
  // Paths of the programs.
  struct Binaries {
    std::string coordinator;
    std::string worker;
    std::string trainer;
    std::string verify;
  };

  explicit Cluster(const Binaries& binaries);
  ~Cluster();

  // Start again on the address they had. Each waits until it serves.
  void StartCoordinator();
  void StartWorker(const std::string& name);
  void KillCoordinator();
  void KillWorker(const std::string& name);
  // SIGTERM; returns the exit status.
  int StopWorker(const std::string& name);

  // A job on the cluster's dataset; `labels` are for the fake trainers.
  lory::v1::JobSpec Spec(int64_t steps, int32_t workers) const;
  absl::StatusOr<lory::v1::Job> Submit(const std::string& id,
                                       const lory::v1::JobSpec& spec);

  // Blocks until the job satisfies `is_so`, for at most `limit`; returns the
  // job as it was last seen, or an error that says how it was.
  absl::StatusOr<lory::v1::Job> WaitForJob(
      const std::string& id,
      const std::function<bool(const lory::v1::Job&)>& is_so,
      absl::Duration limit = absl::Seconds(60));
  absl::StatusOr<lory::v1::Job> GetJob(const std::string& id);

  // Process ids of a worker's living trainers.
  std::vector<int64_t> TrainerPids(const std::string& worker);

  // Runs lory-verify on the job: its exit status and what it printed.
  struct Verdict {
    int exit_status = -1;
    std::string output;
  };
  Verdict Verify(const std::string& id);

  // Chain over the samples of a run without faults.
  std::string ExpectedDigest(const lory::v1::JobSpec& spec,
                             int64_t steps) const;

  lory::v1::JobService::Stub& jobs() { return *jobs_; }
  lory::v1::WorkerAdminService::Stub& workers() { return *workers_; }
  // What a process has printed.
  std::string Log(const std::string& name);

 private:
  struct Process {
    std::unique_ptr<daemon::TrainerProcess> process;
    std::string output;
  };

  void Start(const std::string& name, const std::string& binary,
             std::vector<std::string> arguments);
  void Drain(Process& process);
  void Kill(const std::string& name);

  const Binaries binaries_;
  TemporaryFolder folder_;
  std::string manifest_path_;
  std::string address_ = "127.0.0.1:0";
  std::map<std::string, Process> processes_;
  std::unique_ptr<lory::v1::JobService::Stub> jobs_;
  std::unique_ptr<lory::v1::DatasetService::Stub> datasets_;
  std::unique_ptr<lory::v1::WorkerAdminService::Stub> workers_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_CLUSTER_H_
