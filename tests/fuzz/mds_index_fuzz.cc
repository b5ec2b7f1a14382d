// index.json of an MDS dataset beside two shards, one of them packed: what is
// read names files that are there.
#include "absl/strings/match.h"
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/mds_index.h"
#include "tools/corpus/mds_sample.h"

namespace lory::corpus {

LORY_FUZZ(input) {
  using absl::StatusCode;
  const auto& folder = fuzz::Folder();
  static const std::string plain =
      folder.Write("shard.00000.mds", std::string(64, '\0'));
  static const std::string packed =
      folder.Write("shard.00001.mds.zstd", std::string(32, '\0'));
  const auto shards = ReadMdsIndex(folder.Write(kMdsIndexFile, input));
  fuzz::CheckError(shards.status(),
                   {StatusCode::kNotFound, StatusCode::kInvalidArgument,
                    StatusCode::kDataLoss});
  if (!shards.ok()) return;
  for (const MdsShard& shard : *shards) {
    LORY_CHECK(absl::StartsWith(shard.path, folder.path() + "/"));
    LORY_CHECK(shard.samples >= 0 && shard.raw_bytes >= 4 * shard.samples);
    for (const MdsColumn& column : shard.columns) LORY_CHECK(column.size >= 0);
    for (const char* tokens : {"", "tokens"}) {
      CorpusInput input;
      input.keys.tokens = tokens;
      fuzz::CheckError(MdsSampleReader::Create(shard.columns, input).status(),
                       {StatusCode::kInvalidArgument});
    }
  }
}

}  // namespace lory::corpus
