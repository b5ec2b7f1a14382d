#ifndef LORY_WORKER_SERVE_MERGED_CACHE_H_
#define LORY_WORKER_SERVE_MERGED_CACHE_H_

#include <cstdint>
#include <list>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "worker/serve/served_model.h"

namespace lory::serve {

// Merged weights by layer and routing, within a budget of bytes: requests with
// the same prompt share theirs, and a prompt that comes again is not merged
// again. Those least recently asked for go first, never those in use: whoever
// holds too many makes the budget be passed (see Engine, which does not).
//
// Thread-compatible: the engine's thread has it.
class MergedCache {
 public:
  struct Stats {
    int64_t bytes = 0;   // in use and kept
    int64_t hits = 0;    // layers
    int64_t merges = 0;  // layers
  };

  // `model` must outlive the cache.
  MergedCache(const ServedModel& model, int64_t budget_bytes);

  // The experts of `layer` under `routing`, merged now if need be. Throws as
  // ServedModel::Merge.
  SharedWeights Get(int64_t layer, const Routing& routing);

  // Merged now, for the moment, and not kept.
  SharedWeights MergeOnce(int64_t layer, const Routing& routing);

  const Stats& stats() const { return stats_; }
  int64_t budget_bytes() const { return budget_bytes_; }

 private:
  struct Entry {
    std::string key;
    SharedWeights weights;
  };

  // Until one layer more fits, or all that is left is in use.
  void MakeRoom();

  const ServedModel& model_;
  const int64_t budget_bytes_;
  std::list<Entry> entries_;  // newest first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_key_;
  Stats stats_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_MERGED_CACHE_H_
