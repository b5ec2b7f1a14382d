// A file of tensors: those that are read lie in the file, end to end, and
// written again they read as the same.
#include "common/io/safetensors.h"

#include "common/data/tensor_rows.h"
#include "tests/fuzz/fuzz.h"

namespace lory::io {
namespace {

using absl::StatusCode;

void CheckTensors(const SafetensorsReader& reader, size_t file_bytes) {
  int64_t end = 0;
  for (const TensorInfo& info : reader.tensors()) {
    LORY_CHECK(info.begin == end && info.end >= info.begin);
    end = info.end;
    LORY_CHECK(info.ElementCount() * SizeOf(info.dtype) ==
               info.end - info.begin);
    LORY_CHECK(reader.Find(info.name) == &info);
    const absl::string_view bytes = reader.Bytes(info);
    LORY_CHECK(static_cast<int64_t>(bytes.size()) == info.end - info.begin);
    for (const char byte : bytes) LORY_CHECK(byte == byte);  // is there
    const auto rows = data::ParseRowsName(info.name);
    if (rows) LORY_CHECK(data::RowsName(*rows) == info.name);
  }
  LORY_CHECK(end <= static_cast<int64_t>(file_bytes));
}

void CheckSame(const SafetensorsReader& one, const SafetensorsReader& other) {
  LORY_CHECK(one.metadata() == other.metadata());
  LORY_CHECK(one.tensors().size() == other.tensors().size());
  for (const TensorInfo& info : one.tensors()) {
    const TensorInfo* same = other.Find(info.name);
    LORY_CHECK(same != nullptr && same->dtype == info.dtype &&
               same->shape == info.shape);
    LORY_CHECK(other.Bytes(*same) == one.Bytes(info));
  }
}

void CheckWritesAgain(const SafetensorsReader& reader) {
  std::vector<TensorToWrite> tensors;
  for (const TensorInfo& info : reader.tensors()) {
    tensors.push_back({info, reader.Bytes(info).data()});
  }
  const std::string path = fuzz::Folder().At("again.safetensors");
  const auto written =
      WriteSafetensors(LocalStorage(), path, tensors, reader.metadata());
  LORY_CHECK(written.ok());
  const auto again = SafetensorsReader::Open(path);
  LORY_CHECK(again.ok());
  CheckSame(reader, **again);
}

}  // namespace

LORY_FUZZ(input) {
  const auto reader =
      SafetensorsReader::Open(fuzz::Folder().Write("a.safetensors", input));
  fuzz::CheckError(reader.status(),
                   {StatusCode::kDataLoss, StatusCode::kUnimplemented});
  if (!reader.ok()) return;
  CheckTensors(**reader, input.size());
  CheckWritesAgain(**reader);
}

}  // namespace lory::io
