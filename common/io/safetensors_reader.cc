#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/mapped_file.h"
#include "common/io/safetensors.h"
#include "simdjson.h"

namespace lory::io {
namespace {

namespace json = simdjson::dom;

// The limit of Hugging Face's own reader.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(what);
}

// simdjson hands out std::string_view, which does not become absl's.
template <typename View>
std::string Text(const View& view) {
  return std::string(view.data(), view.size());
}

std::optional<DType> DTypeNamed(absl::string_view name) {
  for (const DType dtype :
       {DType::kF64, DType::kF32, DType::kBf16, DType::kF16, DType::kI64,
        DType::kI32, DType::kI16, DType::kI8, DType::kU8, DType::kBool}) {
    if (NameOf(dtype) == name) return dtype;
  }
  return std::nullopt;
}

// Bytes of the tensor, or nothing when they do not fit 63 bits.
std::optional<int64_t> CheckedByteSize(const TensorInfo& info) {
  int64_t size = SizeOf(info.dtype);
  for (const int64_t dimension : info.shape) {
    if (__builtin_mul_overflow(size, dimension, &size)) return std::nullopt;
  }
  return size;
}

absl::Status ReadShape(json::element value, TensorInfo* info) {
  json::array shape;
  if (value.get(shape) != simdjson::SUCCESS) {
    return Damaged("its shape is no array");
  }
  for (const json::element element : shape) {
    int64_t dimension = 0;
    if (element.get(dimension) != simdjson::SUCCESS || dimension < 0) {
      return Damaged("its shape holds something else than sizes");
    }
    info->shape.push_back(dimension);
  }
  return absl::OkStatus();
}

absl::Status ReadOffsets(json::element value, TensorInfo* info) {
  json::array offsets;
  if (value.get(offsets) != simdjson::SUCCESS || offsets.size() != 2 ||
      offsets.at(0).get(info->begin) != simdjson::SUCCESS ||
      offsets.at(1).get(info->end) != simdjson::SUCCESS || info->begin < 0 ||
      info->end < info->begin) {
    return Damaged("its data_offsets are not two ascending numbers");
  }
  return absl::OkStatus();
}

absl::Status ReadDType(json::element value, TensorInfo* info) {
  if (!value.is_string()) return Damaged("its dtype is no text");
  const std::string name = Text(value.get_string().value_unsafe());
  const std::optional<DType> dtype = DTypeNamed(name);
  if (!dtype) {
    return absl::UnimplementedError(
        absl::StrCat("its dtype ", absl::CEscape(name), " is not supported"));
  }
  info->dtype = *dtype;
  return absl::OkStatus();
}

absl::StatusOr<TensorInfo> ReadTensor(std::string name, json::element value) {
  TensorInfo info;
  info.name = std::move(name);
  json::object fields;
  if (value.get(fields) != simdjson::SUCCESS) {
    return Damaged("its entry is no object");
  }
  // All three exactly once; the count excludes repeats and strangers.
  json::element dtype, shape, offsets;
  if (fields.size() != 3 ||
      fields.at_key("dtype").get(dtype) != simdjson::SUCCESS ||
      fields.at_key("shape").get(shape) != simdjson::SUCCESS ||
      fields.at_key("data_offsets").get(offsets) != simdjson::SUCCESS) {
    return Damaged("its entry is not just dtype, shape and data_offsets");
  }
  LORY_RETURN_IF_ERROR(ReadDType(dtype, &info));
  LORY_RETURN_IF_ERROR(ReadShape(shape, &info));
  LORY_RETURN_IF_ERROR(ReadOffsets(offsets, &info));
  const std::optional<int64_t> bytes = CheckedByteSize(info);
  if (!bytes || *bytes != info.end - info.begin) {
    return Damaged(absl::StrCat("its ", info.end - info.begin,
                                " bytes are not what its shape needs"));
  }
  return info;
}

class MappedSafetensors final : public SafetensorsReader {
 public:
  explicit MappedSafetensors(std::unique_ptr<MappedFile> file)
      : file_(std::move(file)) {}

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  const std::map<std::string, std::string>& metadata() const override {
    return metadata_;
  }
  const TensorInfo* Find(absl::string_view name) const override {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &tensors_[found->second];
  }
  absl::string_view Bytes(const TensorInfo& info) const override {
    return data_.substr(static_cast<size_t>(info.begin),
                        static_cast<size_t>(info.end - info.begin));
  }

  absl::Status Load() {
    const absl::string_view bytes = file_->bytes();
    uint64_t length = 0;
    if (bytes.size() < sizeof(length)) return Damaged("shorter than 8 bytes");
    std::memcpy(&length, bytes.data(), sizeof(length));
    if (length > kMaxHeaderBytes || length > bytes.size() - sizeof(length)) {
      return Damaged(absl::StrCat("the header claims ", length, " bytes"));
    }
    data_ = bytes.substr(sizeof(length) + length);
    LORY_RETURN_IF_ERROR(LoadHeader(bytes.substr(sizeof(length), length)));
    return CheckLayout();
  }

 private:
  absl::Status LoadHeader(absl::string_view text) {
    // Some writers pad with spaces before the brace, none with anything else.
    if (text.empty() || text.front() != '{') {
      return Damaged("the header is no JSON object");
    }
    json::parser parser;
    json::object header;
    const auto error =
        parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true)
            .get(header);
    if (error != simdjson::SUCCESS) {
      return Damaged(absl::StrCat("the header is no JSON object: ",
                                  simdjson::error_message(error)));
    }
    bool has_metadata = false;
    for (const auto& [key, value] : header) {
      std::string name = Text(key);
      if (name == kMetadataKey) {
        if (std::exchange(has_metadata, true)) {
          return Damaged("two entries __metadata__");
        }
        LORY_RETURN_IF_ERROR(LoadMetadata(value));
        continue;
      }
      const std::string where = absl::StrCat("tensor ", absl::CEscape(name));
      absl::StatusOr<TensorInfo> info = ReadTensor(std::move(name), value);
      if (!info.ok()) return Annotate(info.status(), where);
      tensors_.push_back(*std::move(info));
    }
    return absl::OkStatus();
  }

  absl::Status LoadMetadata(json::element value) {
    json::object entries;
    if (value.get(entries) != simdjson::SUCCESS) {
      return Damaged("__metadata__ is no object");
    }
    for (const auto& [key, entry] : entries) {
      if (!entry.is_string()) {
        return Damaged("__metadata__ holds something else than text");
      }
      std::string text = Text(entry.get_string().value_unsafe());
      if (!metadata_.emplace(Text(key), std::move(text)).second) {
        return Damaged("__metadata__ has a key twice");
      }
    }
    return absl::OkStatus();
  }

  // Sorted by place, every tensor must begin where the one before ended, and
  // the last end with the file: no holes to hide in, no overlaps.
  absl::Status CheckLayout() {
    std::sort(tensors_.begin(), tensors_.end(),
              [](const TensorInfo& a, const TensorInfo& b) {
                return std::tie(a.begin, a.end, a.name) <
                       std::tie(b.begin, b.end, b.name);
              });
    int64_t end = 0;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const TensorInfo& info = tensors_[i];
      const std::string name = absl::CEscape(info.name);
      if (info.begin != end) {
        const std::string before =
            i == 0
                ? "the first byte"
                : absl::StrCat("tensor ", absl::CEscape(tensors_[i - 1].name));
        return Damaged(
            info.begin < end
                ? absl::StrCat("tensor ", name, ": overlaps ", before)
                : absl::StrCat("tensor ", name, ": a hole lies between it and ",
                               before));
      }
      end = info.end;
      if (!by_name_.emplace(info.name, i).second) {
        return Damaged(absl::StrCat("two tensors are called ", name));
      }
    }
    if (static_cast<size_t>(end) != data_.size()) {
      return Damaged(absl::StrCat("the tensors need ", end,
                                  " bytes of data, the file has ",
                                  data_.size()));
    }
    return absl::OkStatus();
  }

  std::unique_ptr<MappedFile> file_;
  absl::string_view data_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
  absl::flat_hash_map<std::string, size_t> by_name_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SafetensorsReader>> SafetensorsReader::Open(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file,
                        MappedFile::Open(path));
  auto reader = std::make_unique<MappedSafetensors>(std::move(file));
  LORY_RETURN_IF_ERROR(Annotate(reader->Load(), path));
  return reader;
}

}  // namespace lory::io
