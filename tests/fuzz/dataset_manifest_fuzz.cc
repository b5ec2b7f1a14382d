// manifest.json of a dataset: what was read writes again, and reads as the
// same.
#include "common/data/dataset_manifest.h"

#include "tests/fuzz/fuzz.h"

namespace lory::data {

LORY_FUZZ(input) {
  const auto manifest = ParseDatasetManifest(input);
  fuzz::CheckError(manifest.status(), {absl::StatusCode::kInvalidArgument,
                                       absl::StatusCode::kFailedPrecondition});
  if (!manifest.ok()) return;
  LORY_CHECK(manifest->SequenceCount() >= 0);
  for (const ShardEntry& shard : manifest->shards) {
    LORY_CHECK(shard.file.find('/') == std::string::npos);
  }
  const std::string written = SerializeDatasetManifest(*manifest);
  const auto again = ParseDatasetManifest(written);
  LORY_CHECK(again.ok());
  LORY_CHECK(SerializeDatasetManifest(*again) == written);
}

}  // namespace lory::data
