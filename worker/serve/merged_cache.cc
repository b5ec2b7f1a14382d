#include "worker/serve/merged_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace lory::serve {
namespace {

// The bits of the weights: equal keys, equal merged weights.
std::string KeyOf(int64_t layer, const Routing& routing) {
  return absl::StrCat(
      layer, ":",
      absl::string_view(reinterpret_cast<const char*>(routing.data()),
                        routing.size() * sizeof(float)));
}

}  // namespace

MergedCache::MergedCache(const ServedModel& model, int64_t budget_bytes)
    : model_(model), budget_bytes_(budget_bytes) {}

void MergedCache::MakeRoom() {
  const int64_t layer_bytes = model_.LayerBytes();
  auto entry = entries_.end();
  while (entry != entries_.begin() &&
         stats_.bytes + layer_bytes > budget_bytes_) {
    --entry;
    if (entry->weights.use_count() > 1) continue;
    by_key_.erase(entry->key);
    entry = entries_.erase(entry);
    stats_.bytes -= layer_bytes;
  }
}

SharedWeights MergedCache::Get(int64_t layer, const Routing& routing) {
  std::string key = KeyOf(layer, routing);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    ++stats_.hits;
    return entries_.front().weights;
  }
  MakeRoom();
  SharedWeights merged = model_.Merge(layer, routing);
  ++stats_.merges;
  stats_.bytes += model_.LayerBytes();
  entries_.push_front({key, merged});
  by_key_.emplace(std::move(key), entries_.begin());
  return merged;
}

SharedWeights MergedCache::MergeOnce(int64_t layer, const Routing& routing) {
  ++stats_.merges;
  return model_.Merge(layer, routing);
}

}  // namespace lory::serve
