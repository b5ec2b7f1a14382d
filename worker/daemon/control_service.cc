#include "worker/daemon/control_service.h"

#include <grpcpp/client_context.h>

#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/random.h"
#include "common/rpc/status_convert.h"
#include "worker/daemon/trainer_log.h"

namespace lory::daemon {
namespace {

using ::lory::v1::LogChunk;
using ::lory::v1::Worker;

// How often a followed log is looked at.
constexpr absl::Duration kLogInterval = absl::Milliseconds(100);
constexpr absl::Duration kDrainDeadline = absl::Seconds(5);

grpc::Status NotInThisRelease(const std::string& what) {
  return rpc::ToGrpc(ErrorWithReason(
      absl::StatusCode::kUnimplemented, "NOT_IN_THIS_RELEASE",
      absl::StrCat(what,
                   " is not part of this release; perf and gdb work on "
                   "the trainer's process id, see GetStatus")));
}

}  // namespace

ControlService::ControlService(
    const std::string& worker_id, int32_t slot_count,
    const std::string& log_folder, const TrainerTable& table,
    const CoordinatorSession& session,
    lory::v1::WorkerAdminService::StubInterface& coordinator, Clock& clock)
    : name_(absl::StrCat("workers/", worker_id)),
      slot_count_(slot_count),
      log_folder_(log_folder),
      table_(table),
      session_(session),
      coordinator_(coordinator),
      clock_(clock) {}

void ControlService::SetDescription(
    const lory::v1::WorkerDescription& description) {
  MutexLock lock(&mutex_);
  description_ = description;
}

grpc::Status ControlService::GetStatus(grpc::ServerContext*,
                                       const lory::v1::GetStatusRequest*,
                                       Worker* response) {
  const CoordinatorSession::State state = session_.state();
  response->set_name(name_);
  // Draining is the coordinator's to know.
  response->set_state(state.attached ? Worker::READY : Worker::LOST);
  response->set_reason(
      state.attached
          ? "attached to the coordinator"
          : absl::StrCat("not attached to the coordinator: ", state.trouble));
  {
    MutexLock lock(&mutex_);
    *response->mutable_description() = description_;
  }
  for (TrainerTable::Snapshot& snapshot : table_.Snapshots()) {
    *response->add_trainers() = std::move(snapshot.status);
  }
  const timespec heard = absl::ToTimespec(state.last_heard_wall);
  response->mutable_last_heard_time()->set_seconds(heard.tv_sec);
  response->mutable_last_heard_time()->set_nanos(
      static_cast<int32_t>(heard.tv_nsec));
  return grpc::Status::OK;
}

grpc::Status ControlService::Drain(grpc::ServerContext*,
                                   const lory::v1::DrainRequest*,
                                   Worker* response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(clock_.WallNow() + kDrainDeadline));
  lory::v1::WorkerVerbRequest request;
  request.set_name(name_);
  request.set_request_id(RandomUuid());
  return coordinator_.DrainWorker(&context, request, response);
}

std::vector<int32_t> ControlService::SlotsWithLog(
    const std::string& job) const {
  std::vector<int32_t> slots;
  std::error_code ignored;
  for (int32_t slot = 0; slot < slot_count_; ++slot) {
    if (std::filesystem::exists(LogPath(log_folder_, job, slot), ignored)) {
      slots.push_back(slot);
    }
  }
  return slots;
}

grpc::Status ControlService::StreamLogs(
    grpc::ServerContext* context, const lory::v1::StreamJobLogsRequest* request,
    grpc::ServerWriter<LogChunk>* writer) {
  const std::string& job = request->name();
  if (JobIdOf(job).empty()) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        absl::StrCat("'", job, "' is not a job's name (jobs/...)")));
  }
  std::map<int32_t, std::unique_ptr<TrainerLogReader>> readers;
  while (!context->IsCancelled() && !closed_) {
    // Before the look at the logs: what comes after the job's end is no loss.
    const bool goes_on = request->follow() && table_.Has(job);
    for (const int32_t slot : SlotsWithLog(job)) {
      std::unique_ptr<TrainerLogReader>& reader = readers[slot];
      if (reader == nullptr) {
        reader = std::make_unique<TrainerLogReader>(
            LogPath(log_folder_, job, slot), request->tail_lines());
      }
      LogChunk chunk;
      chunk.set_worker(name_);
      chunk.set_slot(slot);
      for (std::string text = reader->Next(); !text.empty();
           text = reader->Next()) {
        chunk.set_text(std::move(text));
        if (!writer->Write(chunk)) return grpc::Status::OK;
      }
    }
    if (!goes_on) break;
    clock_.SleepFor(kLogInterval);
  }
  if (readers.empty()) {
    return rpc::ToGrpc(
        absl::NotFoundError(absl::StrCat("no log of ", job, " on ", name_)));
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::Profile(grpc::ServerContext*,
                                     const lory::v1::ProfileRequest*,
                                     lory::v1::ProfileResponse*) {
  return NotInThisRelease("Profile");
}

grpc::Status ControlService::DumpStacks(grpc::ServerContext*,
                                        const lory::v1::DumpStacksRequest*,
                                        lory::v1::DumpStacksResponse*) {
  return NotInThisRelease("DumpStacks");
}

}  // namespace lory::daemon
