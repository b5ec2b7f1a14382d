#ifndef LORY_TOOLS_CORPUS_MDS_INDEX_H_
#define LORY_TOOLS_CORPUS_MDS_INDEX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The index.json of a dataset of MosaicML's streaming library (MDS, version
// 2): which shards there are and what a sample in them consists of.
namespace lory::corpus {

inline constexpr char kMdsIndexFile[] = "index.json";

// A named value of every sample.
struct MdsColumn {
  std::string name;
  std::string encoding;  // such as str or ndarray:int32
  int64_t size = 0;      // in bytes; 0: each sample says
};

struct MdsShard {
  std::string name;  // as the index has it, beneath its folder
  std::string path;  // the file to read
  int64_t samples = 0;
  int64_t raw_bytes = 0;           // without compression
  std::vector<MdsColumn> columns;  // in the order of their bytes
};

// Reads index.json; every shard must be there, plain or as .gz or .zstd, and
// as large as the index says.
//
// NOT_FOUND: no such index, or a shard is missing. INVALID_ARGUMENT: it is
// none, or of a kind that is not read. DATA_LOSS: a shard has another size.
// Messages name the file and the entry, such as "shards[2].samples".
absl::StatusOr<std::vector<MdsShard>> ReadMdsIndex(const std::string& path);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_MDS_INDEX_H_
