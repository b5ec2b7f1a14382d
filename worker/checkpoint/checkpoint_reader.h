#ifndef LORY_WORKER_CHECKPOINT_CHECKPOINT_READER_H_
#define LORY_WORKER_CHECKPOINT_CHECKPOINT_READER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/safetensors.h"
#include "lory/v1/checkpoint.pb.h"
#include "worker/model/parameter_store.h"

namespace lory::checkpoint {

// A committed checkpoint, opened for reading by a rank of any world: every
// rank reads all parts. Immutable.
class CheckpointReader {
 public:
  // Opens every part and compares size and SHA-256 with what was committed.
  // `progress` is called now and then while it reads.
  //
  // NOT_FOUND, DATA_LOSS: a part is missing, cut or altered, or holds what
  // another holds too; names the file.
  // INVALID_ARGUMENT: `checkpoint` names no parts.
  static absl::StatusOr<std::unique_ptr<CheckpointReader>> Open(
      const std::string& job_folder, const lory::v1::Checkpoint& checkpoint,
      const std::function<void()>& progress);

  // Of the first part.
  const std::map<std::string, std::string>& metadata() const {
    return parts_.front()->file->metadata();
  }

  // Fills each tensor with the one of its name, put together if its rows lie in
  // several parts.
  //
  // FAILED_PRECONDITION: a tensor is missing, or has another type or shape:
  // the checkpoint is of another model. DATA_LOSS: rows are missing. Names file
  // and tensor.
  absl::Status Load(const lory::model::NamedTensors& tensors) const;

  // The same without copying: the bytes of the tensor as they lie in the files,
  // one view for each range of rows, in order. Valid while this lives.
  absl::StatusOr<std::vector<absl::string_view>> Map(
      const lory::io::TensorInfo& wanted) const;

 private:
  struct Part {
    std::string path;
    std::unique_ptr<lory::io::SafetensorsReader> file;
  };

  struct Piece {
    const Part* part = nullptr;
    const lory::io::TensorInfo* info = nullptr;
  };
  using Pieces = std::map<int64_t, Piece>;  // of one tensor, by first row

  CheckpointReader() = default;

  // DATA_LOSS: a piece is there twice, or is not as its name says.
  absl::Status Index(const Part& part);
  // What the pieces make together. DATA_LOSS: rows are missing or there twice.
  static absl::StatusOr<lory::io::TensorInfo> Join(const std::string& name,
                                                   const Pieces& pieces);

  std::vector<std::unique_ptr<Part>> parts_;
  std::map<std::string, Pieces> pieces_;  // by tensor
};

}  // namespace lory::checkpoint

#endif  // LORY_WORKER_CHECKPOINT_CHECKPOINT_READER_H_
