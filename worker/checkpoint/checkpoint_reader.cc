#include "worker/checkpoint/checkpoint_reader.h"

#include <ATen/core/Tensor.h>

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "worker/checkpoint/snapshot.h"

namespace lory::checkpoint {
namespace {

using ::lory::io::TensorInfo;

constexpr absl::string_view kMend =
    "; `loryctl checkpoint verify` marks a damaged checkpoint, the job then "
    "resumes from the one before";

std::string ShapeText(const TensorInfo& info) {
  return absl::StrCat(lory::io::NameOf(info.dtype), "[",
                      absl::StrJoin(info.shape, ","), "]");
}

absl::Status CheckHash(const std::string& path,
                       const lory::v1::CheckpointPart& part) {
  LORY_ASSIGN_OR_RETURN(const std::string hash, lory::io::FileSha256Hex(path));
  if (hash == part.sha256()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": its SHA-256 is ", hash,
                                          ", committed was ", part.sha256(),
                                          kMend));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> CheckpointReader::Open(
    const std::string& job_folder, const lory::v1::Checkpoint& checkpoint,
    const std::function<void()>& progress) {
  if (checkpoint.parts().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint ", checkpoint.name(), " names no parts"));
  }
  const std::string folder =
      absl::StartsWith(checkpoint.folder(), "/")
          ? checkpoint.folder()
          : absl::StrCat(job_folder, "/checkpoints/", checkpoint.folder());
  std::unique_ptr<CheckpointReader> reader(new CheckpointReader());
  for (const lory::v1::CheckpointPart& part : checkpoint.parts()) {
    const std::string path = absl::StrCat(folder, "/", part.file());
    LORY_RETURN_IF_ERROR(CheckHash(path, part));
    progress();
    auto file = lory::io::SafetensorsReader::Open(path);
    if (!file.ok()) return Annotate(file.status(), "checkpoint");
    reader->parts_.push_back({path, *std::move(file)});
  }
  return reader;
}

absl::Status CheckpointReader::Load(
    const lory::model::NamedTensors& tensors) const {
  for (const auto& [name, tensor] : tensors) {
    LORY_ASSIGN_OR_RETURN(const TensorInfo wanted, Describe(name, tensor));
    const TensorInfo* found = nullptr;
    const Part* holder = nullptr;
    for (const Part& part : parts_) {
      if (found != nullptr) break;
      found = part.file->Find(name);
      holder = &part;
    }
    if (found == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("no part beside ", parts_.front().path, " has tensor ",
                       name, "; the checkpoint is of another model"));
    }
    if (found->dtype != wanted.dtype || found->shape != wanted.shape) {
      return absl::FailedPreconditionError(absl::StrCat(
          holder->path, ": tensor ", name, " is ", ShapeText(*found),
          ", the model's is ", ShapeText(wanted),
          "; the checkpoint is of another "
          "model"));
    }
    const absl::string_view bytes = holder->file->Bytes(*found);
    std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  }
  return absl::OkStatus();
}

}  // namespace lory::checkpoint
