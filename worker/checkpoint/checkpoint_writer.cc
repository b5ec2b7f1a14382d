#include "worker/checkpoint/checkpoint_writer.h"

#include <ATen/core/Tensor.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/data/tensor_rows.h"
#include "common/io/safetensors.h"
#include "worker/checkpoint/part_plan.h"

namespace lory::checkpoint {
namespace {

using ::lory::model::NamedTensors;
using ::lory::v1::CommitCheckpointRequest;

// Hashing and copying yield to training, which waits for nothing here.
void LowerPriority() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
}

}  // namespace

NamedTensors ShareOf(const NamedTensors& tensors, int index, int count) {
  std::vector<TensorSize> sizes;
  for (const auto& [name, tensor] : tensors) {
    sizes.push_back({name, static_cast<int64_t>(tensor.nbytes()),
                     tensor.dim() > 0 ? tensor.size(0) : 1});
  }
  NamedTensors share;
  for (const Piece& piece : AssignParts(sizes, count)) {
    if (piece.part != index) continue;
    const auto& [name, tensor] = tensors[piece.tensor];
    const int64_t rows = piece.end_row - piece.first_row;
    if (rows == sizes[piece.tensor].rows) {
      share.emplace_back(name, tensor);
    } else {
      share.emplace_back(
          lory::data::RowsName({name, piece.first_row, piece.end_row}),
          tensor.narrow(0, piece.first_row, rows));
    }
  }
  return share;
}

absl::StatusOr<CommitCheckpointRequest> WritePart(lory::io::Storage& storage,
                                                  const PartIdentity& identity,
                                                  const Snapshot& snapshot) {
  CommitCheckpointRequest request;
  request.set_job(identity.job);
  request.set_step(identity.step);
  request.set_generation(identity.generation);
  request.set_sample_digest(identity.sample_digest);
  request.set_folder(FolderName(identity.step, identity.generation));
  lory::v1::CheckpointPart& part = *request.mutable_part();
  part.set_index(identity.index);
  part.set_count(identity.count);
  part.set_file(PartFileName(identity.index, identity.count));

  std::map<std::string, std::string> metadata = identity.metadata;
  metadata["job"] = identity.job;
  metadata["step"] = absl::StrCat(identity.step);
  metadata["generation"] = absl::StrCat(identity.generation);
  metadata["part_index"] = absl::StrCat(identity.index);
  metadata["part_count"] = absl::StrCat(identity.count);
  metadata["sample_digest"] = absl::BytesToHexString(identity.sample_digest);

  const std::string path = absl::StrCat(identity.job_folder, "/checkpoints/",
                                        request.folder(), "/", part.file());
  LORY_ASSIGN_OR_RETURN(
      const std::string written,
      lory::io::WriteSafetensors(storage, path, snapshot.tensors(), metadata));
  LORY_ASSIGN_OR_RETURN(const std::string read, lory::io::FileSha256Hex(path));
  if (read != written) {
    return absl::DataLossError(absl::StrCat(
        path,
        ": what was read back is not what was written; the storage "
        "under it is at fault"));
  }
  LORY_ASSIGN_OR_RETURN(const int64_t size, storage.Size(path));
  part.set_size_bytes(size);
  part.set_sha256(read);
  return request;
}

CheckpointWriter::CheckpointWriter(lory::io::Storage& storage, Done done)
    : storage_(storage),
      done_(std::move(done)),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

absl::Status CheckpointWriter::Begin(PartIdentity identity,
                                     const NamedTensors& tensors) {
  {
    MutexLock lock(&mutex_);
    while (busy_.has_value()) changed_.Wait(&mutex_);
  }
  LORY_RETURN_IF_ERROR(
      snapshot_.Take(ShareOf(tensors, identity.index, identity.count)));
  MutexLock lock(&mutex_);
  busy_ = std::move(identity);
  changed_.NotifyAll();
  return absl::OkStatus();
}

bool CheckpointWriter::WaitUntilIdle(absl::Duration limit) {
  MutexLock lock(&mutex_);
  while (busy_.has_value()) {
    if (!changed_.WaitFor(&mutex_, limit)) return !busy_.has_value();
  }
  return true;
}

absl::Status CheckpointWriter::last_result() {
  MutexLock lock(&mutex_);
  return last_result_;
}

void CheckpointWriter::Delete(const std::string& job_folder,
                              const std::vector<std::string>& paths) {
  MutexLock lock(&mutex_);
  for (const std::string& path : paths) {
    if (!absl::StartsWith(path, absl::StrCat(job_folder, "/checkpoints/")) ||
        absl::StrContains(path, "/../")) {
      Log(LogLevel::kWarning, "not a part of this job, left alone",
          {{"path", path}});
    } else if (std::find(to_delete_.begin(), to_delete_.end(), path) ==
               to_delete_.end()) {
      to_delete_.push_back(path);
    }
  }
  changed_.NotifyAll();
}

void CheckpointWriter::Run(std::stop_token stop) {
  LowerPriority();
  const std::stop_callback wake(stop, [this] {
    MutexLock lock(&mutex_);
    changed_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    std::optional<PartIdentity> identity;
    std::deque<std::string> to_delete;
    {
      MutexLock lock(&mutex_);
      while (!stop.stop_requested() && !busy_.has_value() &&
             to_delete_.empty()) {
        changed_.Wait(&mutex_);
      }
      identity = busy_;
      to_delete.swap(to_delete_);
    }
    for (const std::string& path : to_delete) {
      Log(LogLevel::kInfo, "deleting a fenced part", {{"path", path}});
      IgnoreStatus(storage_.Remove(path), "what stays is not committed");
    }
    if (!identity.has_value()) continue;
    const absl::StatusOr<CommitCheckpointRequest> result =
        WritePart(storage_, *identity, snapshot_);
    done_(*identity, result);
    MutexLock lock(&mutex_);
    last_result_ = result.status();
    busy_.reset();
    changed_.NotifyAll();
  }
}

}  // namespace lory::checkpoint
