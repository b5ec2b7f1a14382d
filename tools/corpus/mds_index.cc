#include "tools/corpus/mds_index.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "simdjson.h"
#include "tools/corpus/byte_reader.h"

namespace lory::corpus {
namespace {

namespace json = simdjson::dom;

// Half a million shards: one more is no index but something else.
constexpr size_t kMaxIndexBytes = 256 << 20;
constexpr int64_t kMdsVersion = 2;
// Offsets in a shard are of 32 bits.
constexpr int64_t kMaxShardBytes = std::numeric_limits<uint32_t>::max();

// An entry of the index and the way to it, for messages.
struct Entry {
  json::element value;
  std::string path;

  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
  }
};

absl::StatusOr<Entry> Get(const Entry& entry, const std::string& key) {
  Entry found;
  found.path = absl::StrCat(entry.path, entry.path.empty() ? "" : ".", key);
  if (entry.value[key].get(found.value) != simdjson::SUCCESS) {
    return found.Wrong("is missing");
  }
  return found;
}

absl::StatusOr<int64_t> WholeIn(const Entry& entry, const std::string& key,
                                int64_t low, int64_t high) {
  LORY_ASSIGN_OR_RETURN(const Entry found, Get(entry, key));
  int64_t value = 0;
  if (found.value.get(value) != simdjson::SUCCESS || value < low ||
      value > high) {
    return found.Wrong(
        absl::StrCat("must be a whole number from ", low, " to ", high));
  }
  return value;
}

absl::StatusOr<std::string> StringOf(const Entry& entry) {
  const auto view = entry.value.get_string();
  if (view.error() != simdjson::SUCCESS) return entry.Wrong("must be text");
  return std::string(view.value_unsafe());
}

absl::StatusOr<std::vector<Entry>> ListIn(const Entry& entry,
                                          const std::string& key) {
  LORY_ASSIGN_OR_RETURN(const Entry found, Get(entry, key));
  json::array array;
  if (found.value.get(array) != simdjson::SUCCESS) {
    return found.Wrong("must be a list");
  }
  std::vector<Entry> items;
  for (const json::element item : array) {
    items.push_back({item, absl::StrCat(found.path, "[", items.size(), "]")});
  }
  return items;
}

absl::StatusOr<std::vector<MdsColumn>> ColumnsOf(const Entry& shard) {
  LORY_ASSIGN_OR_RETURN(const auto names, ListIn(shard, "column_names"));
  LORY_ASSIGN_OR_RETURN(const auto encodings,
                        ListIn(shard, "column_encodings"));
  LORY_ASSIGN_OR_RETURN(const auto sizes, ListIn(shard, "column_sizes"));
  if (names.size() != encodings.size() || names.size() != sizes.size()) {
    return shard.Wrong(absl::StrCat(names.size(), " column_names, ",
                                    encodings.size(), " column_encodings and ",
                                    sizes.size(), " column_sizes"));
  }
  std::vector<MdsColumn> columns(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    LORY_ASSIGN_OR_RETURN(columns[i].name, StringOf(names[i]));
    LORY_ASSIGN_OR_RETURN(columns[i].encoding, StringOf(encodings[i]));
    if (sizes[i].value.is_null()) continue;
    if (sizes[i].value.get(columns[i].size) != simdjson::SUCCESS ||
        columns[i].size < 0 || columns[i].size > kMaxShardBytes) {
      return sizes[i].Wrong("must be null or a size in bytes");
    }
  }
  return columns;
}

// A file that the index names: beneath its folder, whatever it says.
struct ShardFile {
  std::string name;
  int64_t bytes = 0;
};

absl::StatusOr<ShardFile> FileIn(const Entry& shard, const std::string& key,
                                 int64_t max_bytes) {
  LORY_ASSIGN_OR_RETURN(const Entry file, Get(shard, key));
  LORY_ASSIGN_OR_RETURN(const Entry name, Get(file, "basename"));
  ShardFile found;
  LORY_ASSIGN_OR_RETURN(found.name, StringOf(name));
  LORY_ASSIGN_OR_RETURN(found.bytes, WholeIn(file, "bytes", 0, max_bytes));
  const std::vector<absl::string_view> parts = absl::StrSplit(found.name, '/');
  const bool is_beneath =
      std::none_of(parts.begin(), parts.end(), [](absl::string_view part) {
        return part.empty() || part == "." || part == "..";
      });
  if (!is_beneath || absl::StrContains(found.name, '\0')) {
    return name.Wrong("must name a file beneath the folder of the index");
  }
  return found;
}

absl::Status CheckSize(const std::string& path, int64_t expected) {
  LORY_ASSIGN_OR_RETURN(const int64_t bytes, io::LocalStorage().Size(path));
  if (bytes == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path,
                                          ": truncated or altered: ", bytes,
                                          " bytes, its index says ", expected));
}

// The file of a shard that there is: plain if it was unpacked, else packed.
absl::StatusOr<std::string> FindShard(const Entry& shard,
                                      const std::string& folder,
                                      const ShardFile& raw) {
  const std::string raw_path = absl::StrCat(folder, "/", raw.name);
  const auto raw_size = io::LocalStorage().Size(raw_path);
  json::element zip_value;
  const bool has_zip =
      shard.value["zip_data"].get(zip_value) == simdjson::SUCCESS &&
      !zip_value.is_null();
  if (raw_size.ok() || !absl::IsNotFound(raw_size.status()) || !has_zip) {
    LORY_RETURN_IF_ERROR(CheckSize(raw_path, raw.bytes));
    return raw_path;
  }
  LORY_ASSIGN_OR_RETURN(
      const ShardFile zip,
      FileIn(shard, "zip_data", std::numeric_limits<int64_t>::max()));
  const std::string path = absl::StrCat(folder, "/", zip.name);
  if (!IsCompressedName(zip.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": compressed by what is not read here; known are .gz and "
                     ".zstd. Unpack it to ",
                     raw.name, " beside it"));
  }
  LORY_RETURN_IF_ERROR(CheckSize(path, zip.bytes));
  return path;
}

absl::StatusOr<MdsShard> ShardOf(const Entry& entry,
                                 const std::string& folder) {
  LORY_RETURN_IF_ERROR(
      WholeIn(entry, "version", kMdsVersion, kMdsVersion).status());
  LORY_ASSIGN_OR_RETURN(const Entry format, Get(entry, "format"));
  LORY_ASSIGN_OR_RETURN(const std::string name, StringOf(format));
  if (name != "mds") {
    return format.Wrong(absl::StrCat("is '", name, "'; only mds is read"));
  }
  MdsShard shard;
  LORY_ASSIGN_OR_RETURN(const ShardFile raw,
                        FileIn(entry, "raw_data", kMaxShardBytes));
  shard.name = raw.name;
  shard.raw_bytes = raw.bytes;
  LORY_ASSIGN_OR_RETURN(shard.samples,
                        WholeIn(entry, "samples", 0, raw.bytes / 4));
  LORY_ASSIGN_OR_RETURN(shard.columns, ColumnsOf(entry));
  LORY_ASSIGN_OR_RETURN(shard.path, FindShard(entry, folder, raw));
  return shard;
}

absl::StatusOr<std::vector<MdsShard>> ParseIndex(const std::string& bytes,
                                                 const std::string& folder) {
  json::parser parser;
  Entry root;
  const auto error = parser.parse(bytes).get(root.value);
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("no index of MDS: ", simdjson::error_message(error)));
  }
  if (!root.value.is_object()) {
    return absl::InvalidArgumentError("no index of MDS: no JSON object");
  }
  LORY_RETURN_IF_ERROR(
      WholeIn(root, "version", kMdsVersion, kMdsVersion).status());
  LORY_ASSIGN_OR_RETURN(const std::vector<Entry> entries,
                        ListIn(root, "shards"));
  std::vector<MdsShard> shards;
  for (const Entry& entry : entries) {
    LORY_ASSIGN_OR_RETURN(MdsShard shard, ShardOf(entry, folder));
    shards.push_back(std::move(shard));
  }
  return shards;
}

}  // namespace

absl::StatusOr<std::vector<MdsShard>> ReadMdsIndex(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadWhole(path, kMaxIndexBytes);
  if (absl::IsOutOfRange(bytes.status())) {
    return Annotate(bytes.status(), path);
  }
  LORY_RETURN_IF_ERROR(bytes.status());
  auto shards = ParseIndex(*bytes, path.substr(0, path.rfind('/')));
  if (!shards.ok()) return Annotate(shards.status(), path);
  return shards;
}

}  // namespace lory::corpus
