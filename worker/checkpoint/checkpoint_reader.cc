#include "worker/checkpoint/checkpoint_reader.h"

#include <ATen/core/Tensor.h>

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/data/tensor_rows.h"
#include "common/io/storage.h"
#include "worker/checkpoint/snapshot.h"

namespace lory::checkpoint {
namespace {

using ::lory::io::TensorInfo;

std::string ShapeText(const TensorInfo& info) {
  return absl::StrCat(lory::io::NameOf(info.dtype), "[",
                      absl::StrJoin(info.shape, ","), "]");
}

absl::Status Damaged(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

absl::Status CheckBytes(const std::string& path,
                        const lory::v1::CheckpointPart& part,
                        const std::function<void()>& progress) {
  LORY_ASSIGN_OR_RETURN(const int64_t size,
                        lory::io::LocalStorage().Size(path));
  if (size != part.size_bytes()) {
    return Damaged(path,
                   absl::StrCat("it has ", size, " bytes, committed were ",
                                part.size_bytes()));
  }
  LORY_ASSIGN_OR_RETURN(const std::string hash,
                        lory::io::FileSha256Hex(path, /*stop=*/{}, progress));
  if (hash == part.sha256()) return absl::OkStatus();
  return Damaged(path, absl::StrCat("its SHA-256 is ", hash, ", committed was ",
                                    part.sha256()));
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
    LORY_RETURN_IF_ERROR(CheckBytes(path, part, progress));
    auto file = lory::io::SafetensorsReader::Open(path);
    if (!file.ok()) return Annotate(file.status(), "checkpoint");
    reader->parts_.push_back(
        std::make_unique<Part>(Part{path, *std::move(file)}));
    LORY_RETURN_IF_ERROR(reader->Index(*reader->parts_.back()));
  }
  return reader;
}

absl::Status CheckpointReader::Index(const Part& part) {
  for (const TensorInfo& info : part.file->tensors()) {
    const auto rows = lory::data::ParseRowsName(info.name);
    if (rows.has_value() &&
        (info.shape.empty() || info.shape[0] != rows->end - rows->first)) {
      return Damaged(part.path, absl::StrCat("tensor ", info.name, " is ",
                                             ShapeText(info)));
    }
    Pieces& pieces = pieces_[rows.has_value() ? rows->tensor : info.name];
    const int64_t first = rows.has_value() ? rows->first : 0;
    const auto [there, is_new] = pieces.emplace(first, Piece{&part, &info});
    if (!is_new) {
      return Damaged(part.path,
                     absl::StrCat("tensor ", info.name, " is there twice, as ",
                                  there->second.info->name, " in ",
                                  there->second.part->path));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TensorInfo> CheckpointReader::Join(const std::string& name,
                                                  const Pieces& pieces) {
  TensorInfo whole = *pieces.begin()->second.info;
  if (whole.name == name && pieces.size() == 1) return whole;
  whole.name = name;
  int64_t rows = 0;
  for (const auto& [first_row, piece] : pieces) {
    std::vector<int64_t> shape = piece.info->shape;
    // Not beside the whole tensor either.
    const bool follows =
        !shape.empty() && first_row == rows && piece.info->name != name;
    if (follows) {
      rows += shape[0];
      shape[0] = whole.shape[0];
    }
    if (!follows || shape != whole.shape || piece.info->dtype != whole.dtype) {
      return Damaged(piece.part->path,
                     absl::StrCat(piece.info->name, " does not continue row ",
                                  rows, " of tensor ", name));
    }
  }
  whole.shape[0] = rows;
  return whole;
}

absl::StatusOr<std::vector<absl::string_view>> CheckpointReader::Map(
    const TensorInfo& wanted) const {
  const auto pieces = pieces_.find(wanted.name);
  if (pieces == pieces_.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no part beside ", parts_.front()->path, " has tensor ",
                     wanted.name, "; the checkpoint is of another model"));
  }
  LORY_ASSIGN_OR_RETURN(const TensorInfo found,
                        Join(wanted.name, pieces->second));
  if (found.dtype != wanted.dtype || found.shape != wanted.shape) {
    return absl::FailedPreconditionError(absl::StrCat(
        pieces->second.begin()->second.part->path, ": tensor ", wanted.name,
        " is ", ShapeText(found), ", the model's is ", ShapeText(wanted),
        "; the checkpoint is of another model"));
  }
  std::vector<absl::string_view> views;
  for (const auto& [first_row, piece] : pieces->second) {
    views.push_back(piece.part->file->Bytes(*piece.info));
  }
  return views;
}

absl::Status CheckpointReader::Load(
    const lory::model::NamedTensors& tensors) const {
  for (const auto& [name, tensor] : tensors) {
    LORY_ASSIGN_OR_RETURN(const TensorInfo wanted, Describe(name, tensor));
    LORY_ASSIGN_OR_RETURN(const auto views, Map(wanted));
    auto* to = static_cast<char*>(tensor.mutable_data_ptr());
    size_t left = tensor.nbytes();
    for (const absl::string_view bytes : views) {
      // Join has seen to it; memory is not to depend on that.
      LORY_CHECK(bytes.size() <= left);
      std::memcpy(to, bytes.data(), bytes.size());
      to += bytes.size();
      left -= bytes.size();
    }
  }
  return absl::OkStatus();
}

}  // namespace lory::checkpoint
