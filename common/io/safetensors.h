#ifndef LORY_COMMON_IO_SAFETENSORS_H_
#define LORY_COMMON_IO_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/storage.h"

// The safetensors container: 8 bytes of header length, a JSON header, then
// the tensors, little-endian and row-major. Format: huggingface/safetensors,
// README. No LibTorch here: tensors are names, types, shapes and bytes.
namespace lory::io {

enum class DType { kF64, kF32, kBf16, kF16, kI64, kI32, kI16, kI8, kU8, kBool };

int64_t SizeOf(DType dtype);            // bytes of one element
absl::string_view NameOf(DType dtype);  // "F32"

// The key of the header that is no tensor.
constexpr char kMetadataKey[] = "__metadata__";

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // offsets into the data, set by readers
  int64_t end = 0;

  int64_t ElementCount() const;
};

struct TensorToWrite {
  TensorInfo info;
  const void* data = nullptr;  // contiguous; alive during the call
};

// Writes one file through `storage` (temporary name, sync, rename) and returns
// the SHA-256 of its bytes in hex. `metadata` goes to __metadata__.
absl::StatusOr<std::string> WriteSafetensors(
    Storage& storage, const std::string& path,
    std::span<const TensorToWrite> tensors,
    const std::map<std::string, std::string>& metadata);

// A mapped file. Immutable; thread-safe.
class SafetensorsReader {
 public:
  // Trusts nothing: lengths, offsets, overlaps, holes, duplicate names, sizes
  // against shapes are all checked. DATA_LOSS names file and tensor.
  static absl::StatusOr<std::unique_ptr<SafetensorsReader>> Open(
      const std::string& path);
  virtual ~SafetensorsReader() = default;

  virtual const std::vector<TensorInfo>& tensors() const = 0;
  virtual const std::map<std::string, std::string>& metadata() const = 0;
  // nullptr: no tensor of that name.
  virtual const TensorInfo* Find(absl::string_view name) const = 0;
  // The bytes of a tensor of this file; valid while the reader lives.
  virtual absl::string_view Bytes(const TensorInfo& info) const = 0;
};

}  // namespace lory::io

#endif  // LORY_COMMON_IO_SAFETENSORS_H_
