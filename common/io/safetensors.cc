#include "common/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "simdjson.h"

static_assert(std::endian::native == std::endian::little,
              "tensors are written as they lie in memory");

namespace lory::io {
namespace {

constexpr size_t kAlignment = 8;

struct DTypeRow {
  DType dtype;
  int64_t size;
  const char* name;
};
constexpr std::array<DTypeRow, 10> kDTypes = {{{DType::kF64, 8, "F64"},
                                               {DType::kF32, 4, "F32"},
                                               {DType::kBf16, 2, "BF16"},
                                               {DType::kF16, 2, "F16"},
                                               {DType::kI64, 8, "I64"},
                                               {DType::kI32, 4, "I32"},
                                               {DType::kI16, 2, "I16"},
                                               {DType::kI8, 1, "I8"},
                                               {DType::kU8, 1, "U8"},
                                               {DType::kBool, 1, "BOOL"}}};

const DTypeRow& RowOf(DType dtype) {
  return *std::find_if(
      kDTypes.begin(), kDTypes.end(),
      [dtype](const DTypeRow& row) { return row.dtype == dtype; });
}

bool IsUtf8(absl::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

absl::Status CheckWritable(std::span<const TensorToWrite> tensors) {
  std::vector<absl::string_view> names;
  for (const TensorToWrite& tensor : tensors) {
    const std::string& name = tensor.info.name;
    names.push_back(name);
    if (name == kMetadataKey || !IsUtf8(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a tensor cannot be called '", absl::CEscape(name), "'"));
    }
    for (const int64_t dimension : tensor.info.shape) {
      if (dimension < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("tensor ", name, " has a negative dimension"));
      }
    }
    if (tensor.data == nullptr && tensor.info.ElementCount() > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, " has no data"));
    }
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("two tensors are called ", *twice));
  }
  return absl::OkStatus();
}

int64_t ByteSize(const TensorInfo& info) {
  return info.ElementCount() * SizeOf(info.dtype);
}

// Length, header and padding: all that stands before the data.
absl::StatusOr<std::string> HeaderOf(
    const std::vector<const TensorToWrite*>& ordered,
    const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) {
    if (!IsUtf8(key) || !IsUtf8(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata ", absl::CEscape(key), " is not UTF-8"));
    }
    header[kMetadataKey][key] = value;
  }
  int64_t offset = 0;
  for (const TensorToWrite* tensor : ordered) {
    const int64_t end = offset + ByteSize(tensor->info);
    header[tensor->info.name] = {
        {"dtype", std::string(NameOf(tensor->info.dtype))},
        {"shape", tensor->info.shape},
        {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string json = header.dump();
  json.append((kAlignment - json.size() % kAlignment) % kAlignment, ' ');
  const uint64_t length = json.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + json;
}

}  // namespace

int64_t SizeOf(DType dtype) { return RowOf(dtype).size; }

absl::string_view NameOf(DType dtype) { return RowOf(dtype).name; }

int64_t TensorInfo::ElementCount() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

absl::StatusOr<std::string> WriteSafetensors(
    Storage& storage, const std::string& path,
    std::span<const TensorToWrite> tensors,
    const std::map<std::string, std::string>& metadata) {
  LORY_RETURN_IF_ERROR(CheckWritable(tensors));
  // Wide elements first, as Hugging Face does: each tensor is then aligned
  // to its elements and can be used where it is mapped.
  std::vector<const TensorToWrite*> ordered;
  for (const TensorToWrite& tensor : tensors) ordered.push_back(&tensor);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const TensorToWrite* a, const TensorToWrite* b) {
                     return SizeOf(a->info.dtype) > SizeOf(b->info.dtype);
                   });
  LORY_ASSIGN_OR_RETURN(const std::string header, HeaderOf(ordered, metadata));

  LORY_ASSIGN_OR_RETURN(std::unique_ptr<FileWriter> writer,
                        storage.Create(path));
  Sha256 hash;
  const auto append = [&](absl::string_view bytes) {
    hash.Update(bytes);
    return writer->Append(bytes);
  };
  LORY_RETURN_IF_ERROR(append(header));
  for (const TensorToWrite* tensor : ordered) {
    LORY_RETURN_IF_ERROR(append({static_cast<const char*>(tensor->data),
                                 static_cast<size_t>(ByteSize(tensor->info))}));
  }
  LORY_RETURN_IF_ERROR(writer->Commit());
  return absl::BytesToHexString(hash.Finish());
}

}  // namespace lory::io
