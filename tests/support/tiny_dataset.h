#ifndef LORY_TESTS_SUPPORT_TINY_DATASET_H_
#define LORY_TESTS_SUPPORT_TINY_DATASET_H_

#include <cstdint>
#include <string>

namespace lory::testing {

struct TinyDatasetOptions {
  int64_t sequence_count = 100;
  int32_t sequence_length = 16;
  int64_t vocabulary_size = 64;
};

// Writes a whole dataset of made-up tokens into `folder`: one shard, one
// domain with held-out text. Returns the path of its manifest.
std::string WriteTinyDataset(const std::string& folder,
                             const TinyDatasetOptions& options);

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_TINY_DATASET_H_
