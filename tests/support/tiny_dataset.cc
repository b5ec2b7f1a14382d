#include "tests/support/tiny_dataset.h"

#include <vector>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/random.h"
#include "common/data/dataset_manifest.h"
#include "common/data/shard_file.h"
#include "common/io/storage.h"

namespace lory::testing {
namespace {

data::ShardEntry WriteShard(const std::string& prefix, int64_t count,
                            const TinyDatasetOptions& options, Random* random) {
  auto writer = data::ShardWriter::Create(prefix, options.sequence_length + 1,
                                          options.vocabulary_size);
  LORY_CHECK(writer.ok());
  std::vector<int32_t> tokens(static_cast<size_t>(options.sequence_length) + 1);
  for (int64_t i = 0; i < count; ++i) {
    for (int32_t& token : tokens) {
      token = static_cast<int32_t>(
          random->Below(static_cast<uint64_t>(options.vocabulary_size)));
    }
    LORY_CHECK((*writer)->Append(tokens).ok());
  }
  auto entry = (*writer)->Finish();
  LORY_CHECK(entry.ok());
  return *std::move(entry);
}

}  // namespace

std::string WriteTinyDataset(const std::string& folder,
                             const TinyDatasetOptions& options) {
  const std::string tokenizer = "not a real tokenizer";
  LORY_CHECK(
      io::LocalStorage().Write(folder + "/tokenizer.json", tokenizer).ok());
  Random random(1);
  data::DatasetManifest manifest;
  manifest.name = "tiny";
  manifest.order = "random";
  manifest.sequence_length = options.sequence_length;
  manifest.vocabulary_size = options.vocabulary_size;
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_sha256 = Sha256Hex(tokenizer);
  manifest.document_count = options.sequence_count;
  manifest.token_count = options.sequence_count * options.sequence_length;
  manifest.shards.push_back(WriteShard(
      folder + "/train-0", options.sequence_count, options, &random));
  manifest.held_out.push_back(
      {"made-up", WriteShard(folder + "/held-out", 4, options, &random)});
  const std::string path = folder + "/manifest.json";
  LORY_CHECK(io::LocalStorage()
                 .Write(path, data::SerializeDatasetManifest(manifest))
                 .ok());
  return path;
}

}  // namespace lory::testing
