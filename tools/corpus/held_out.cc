#include "tools/corpus/held_out.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
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
  std::vector<uint8_t> held_out = ChooseHeldOut(store.records(), options);
  for (const std::string& name : options.domains) {
    const auto& known = store.domains();
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("holdout_domains: no document is of domain ", name,
                       "; there are ", absl::StrJoin(known, ", ")));
    }
    for (int64_t i = 0; i < store.count(); ++i) {
      if (store.records()[i].domain == found - known.begin()) held_out[i] = 1;
    }
  }
  LORY_RETURN_IF_ERROR(
      WriteArray<uint8_t>(absl::StrCat(folder, "/", kHeldOutFile), held_out));
  const int64_t count =
      std::count(held_out.begin(), held_out.end(), uint8_t{1});
  if (count == store.count()) {
    return absl::InvalidArgumentError(
        "holdout_domains: nothing is left to train on");
  }
  return StageResult{{kHeldOutFile},
                     {{"held_out", static_cast<double>(count)}},
                     absl::StrFormat("%d documents held out, %d to train",
                                     count, store.count() - count)};
}

}  // namespace lory::corpus
