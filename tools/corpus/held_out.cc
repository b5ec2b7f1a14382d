#include "tools/corpus/held_out.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace lory::corpus {

std::vector<uint8_t> ChooseHeldOut(std::span<const DocumentRecord> records,
                                   const HeldOutOptions& options) {
  std::vector<uint8_t> held_out(records.size());
  if (options.fraction <= 0) return held_out;
  struct Domain {
    std::vector<std::pair<uint64_t, size_t>> keys;  // hash, document
    int64_t bytes = 0;
  };
  std::map<int32_t, Domain> domains;
  for (size_t i = 0; i < records.size(); ++i) {
    Domain& domain = domains[records[i].domain];
    const uint64_t key =
        Mix64(records[i].id.high ^ Mix64(records[i].id.low + options.seed));
    domain.keys.emplace_back(key, i);
    domain.bytes += records[i].text_bytes;
  }
  for (auto& [number, domain] : domains) {
    std::sort(domain.keys.begin(), domain.keys.end());
    const size_t wanted = static_cast<size_t>(
        std::ceil(options.fraction * static_cast<double>(domain.keys.size())));
    const int64_t min_bytes = std::min(options.min_bytes, domain.bytes / 2);
    int64_t bytes = 0;
    for (size_t i = 0; i < domain.keys.size(); ++i) {
      if (i >= wanted && bytes >= min_bytes) break;
      const size_t document = domain.keys[i].second;
      const int64_t after = bytes + records[document].text_bytes;
      // Half of it must stay, or there is nothing to learn the domain from.
      if (2 * after > domain.bytes) continue;
      bytes = after;
      held_out[document] = 1;
    }
  }
  return held_out;
}

absl::StatusOr<StageResult> SplitHeldOut(const DocumentStore& store,
                                         const HeldOutOptions& options,
                                         const std::string& folder) {
  const std::vector<uint8_t> held_out = ChooseHeldOut(store.records(), options);
  LORY_RETURN_IF_ERROR(
      WriteArray<uint8_t>(absl::StrCat(folder, "/", kHeldOutFile), held_out));
  const int64_t count =
      std::count(held_out.begin(), held_out.end(), uint8_t{1});
  return StageResult{{kHeldOutFile},
                     {{"held_out", static_cast<double>(count)}},
                     absl::StrFormat("%d documents held out, %d to train",
                                     count, store.count() - count)};
}

}  // namespace lory::corpus
