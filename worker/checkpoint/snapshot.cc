#include "worker/checkpoint/snapshot.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::checkpoint {
namespace {

// Bytes a thread copies at a time.
constexpr int64_t kGrain = 1 << 20;

}  // namespace

absl::StatusOr<lory::io::TensorInfo> Describe(const std::string& name,
                                              const at::Tensor& tensor) {
  lory::io::TensorInfo info{.name = name};
  if (tensor.scalar_type() == at::kFloat) {
    info.dtype = lory::io::DType::kF32;
  } else if (tensor.scalar_type() == at::kLong) {
    info.dtype = lory::io::DType::kI64;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, " is neither F32 nor I64"));
  }
  info.shape.assign(tensor.sizes().begin(), tensor.sizes().end());
  return info;
}

absl::Status Snapshot::Take(const lory::model::NamedTensors& tensors) {
  int64_t needed = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_contiguous()) {
      return absl::InternalError(absl::StrCat(name, " is not contiguous"));
    }
    needed += static_cast<int64_t>(tensor.nbytes());
  }
  tensors_.clear();
  used_ = needed;
  if (needed > capacity_) {
    memory_.reset();
    capacity_ = 0;
    memory_.reset(new (std::nothrow) std::byte[needed]);
    if (memory_ == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for a snapshot of ", needed, " bytes"));
    }
    capacity_ = needed;
  }
  std::byte* to = memory_.get();
  for (const auto& [name, tensor] : tensors) {
    LORY_ASSIGN_OR_RETURN(lory::io::TensorInfo info, Describe(name, tensor));
    const auto* from = static_cast<const std::byte*>(tensor.const_data_ptr());
    at::parallel_for(0, static_cast<int64_t>(tensor.nbytes()), kGrain,
                     [&](int64_t begin, int64_t end) {
                       std::memcpy(to + begin, from + begin, end - begin);
                     });
    tensors_.push_back({.info = std::move(info), .data = to});
    to += tensor.nbytes();
  }
  return absl::OkStatus();
}

}  // namespace lory::checkpoint
