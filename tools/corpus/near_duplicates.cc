#include "tools/corpus/near_duplicates.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/across_split.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/cosine.h"
#include "tools/corpus/neighbors.h"
#include "tools/corpus/parallel.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

constexpr size_t kWrittenPairs = 10'000;
constexpr size_t kShownPairs = 3;
constexpr int64_t kCompareGrain = 64;   // pairs or documents
constexpr double kListRounding = 1e-6;  // of similarities in lists

// The earlier of two, if the later is a near copy of it.
std::optional<NearPair> Check(int32_t later, int32_t earlier,
                              const NearLimits& limits, const NearTest& test) {
  NearPair pair = {.dropped = later, .kept = earlier};
  pair.similarity = test.similarity(later, earlier);
  if (pair.similarity < limits.similarity) return std::nullopt;
  pair.overlap = test.overlap(later, earlier);
  if (pair.overlap < limits.overlap) return std::nullopt;
  return pair;
}

// Proposed pairs, later and earlier document, and those that hold.
struct Proposed {
  const std::vector<std::pair<int32_t, int32_t>>& pairs;
  const std::vector<std::optional<NearPair>>& checked;
};

// Scores were rounded to float: those on the edge are looked at again.
bool MayBeSimilar(const Neighbor& neighbor, const NearLimits& limits) {
  return neighbor.document >= 0 &&
         neighbor.similarity >= limits.similarity - kListRounding;
}

// Those whose last neighbour is similar enough, unless all others are listed.
Crowd CrowdOf(std::span<const Neighbor> neighbors, int32_t k,
              std::span<const uint8_t> gone, const Proposed& proposed,
              const std::vector<int32_t>& kept_for, const NearLimits& limits,
              const NearTest& test) {
  std::vector<int32_t> members;
  std::vector<uint8_t> is_listed;
  size_t next = 0;
  const auto count = static_cast<int32_t>(gone.size());
  for (int32_t i = 0; i < count && k < count - 1; ++i) {
    bool holds = false;
    for (; next < proposed.pairs.size() && proposed.pairs[next].first == i;
         ++next) {
      holds |= proposed.checked[next].has_value();
    }
    const int64_t last = (int64_t{i} + 1) * k - 1;
    if (gone[i] || !MayBeSimilar(neighbors[last], limits)) continue;
    members.push_back(i);
    is_listed.push_back(holds);
  }
  return Crowd(std::move(members), std::move(is_listed), kept_for, limits,
               test);
}

NearSide HeldOutOf(const NearDuplicateInputs& inputs) {
  NearSide side;
  for (size_t i = 0; i < inputs.held_out.size(); ++i) {
    if (inputs.held_out[i]) side.push_back(static_cast<int32_t>(i));
  }
  return side;
}

nlohmann::ordered_json JsonOf(const DocumentStore& store, int32_t document) {
  const absl::string_view name = store.NameOf(document);
  return {{"id", ToHex(store.records()[document].id)},
          {"name", std::string(name)}};
}

absl::Status WritePairs(const DocumentStore& store,
                        const std::vector<NearPair>& pairs, size_t across,
                        const std::string& path) {
  std::string lines;
  for (size_t i = 0; i < std::min(pairs.size(), kWrittenPairs); ++i) {
    const NearPair& pair = pairs[i];
    const nlohmann::ordered_json line = {
        {"dropped", JsonOf(store, pair.dropped)},
        {"kept", JsonOf(store, pair.kept)},
        {"kept_is", i < across ? "held out" : "trained"},
        {"similarity", absl::StrFormat("%.4f", pair.similarity)},
        {"overlap", absl::StrFormat("%.4f", pair.overlap)}};
    absl::StrAppend(&lines,
                    line.dump(-1, ' ', false,
                              nlohmann::ordered_json::error_handler_t::replace),
                    "\n");
  }
  return io::LocalStorage().Write(path, lines);
}

void Show(const DocumentStore& store, const std::vector<NearPair>& pairs,
          Progress& progress) {
  const auto name = [&](int32_t document) {
    const absl::string_view given = store.NameOf(document);
    return given.empty() ? ToHex(store.records()[document].id)
                         : std::string(given);
  };
  for (size_t i = 0; i < std::min(pairs.size(), kShownPairs); ++i) {
    progress.Say(absl::StrFormat(
        "near duplicate: %s of %s (%.3f similar, %.0f %% of the shingles)",
        name(pairs[i].dropped), name(pairs[i].kept), pairs[i].similarity,
        100 * pairs[i].overlap));
  }
}

NearTest TestOf(const NearDuplicateInputs& inputs) {
  const auto row = [&inputs](int32_t document) {
    return inputs.vectors.data() + int64_t{document} * inputs.dimensions;
  };
  return {.similarity =
              [row, &inputs](int32_t a, int32_t b) {
                return Cosine(row(a), row(b), inputs.dimensions);
              },
          .overlap =
              [&inputs](int32_t a, int32_t b) {
                return Overlap(ShinglesOf(inputs.store.TextOf(a)),
                               ShinglesOf(inputs.store.TextOf(b)));
              },
          .text_of = [&inputs](int32_t a) { return inputs.store.TextOf(a); }};
}

// With both figures of each pair, though only one was asked for.
std::vector<NearPair> PairsAcross(const NearDuplicateInputs& inputs,
                                  const NearSide& train,
                                  const NearLimits& limits,
                                  const NearTest& test,
                                  std::function<void(int64_t)> on_progress) {
  const NearSide held_out = HeldOutOf(inputs);
  const Across across = {.train = train,
                         .held_out = held_out,
                         .on_progress = std::move(on_progress)};
  if (limits.overlap <= 0) {
    std::vector<NearPair> pairs = FindSimilarAcross(
        across, limits.similarity, inputs.vectors, inputs.dimensions);
    for (NearPair& pair : pairs) {
      pair.overlap = test.overlap(pair.dropped, pair.kept);
    }
    return pairs;
  }
  std::vector<NearPair> pairs = FindCopiesAcross(
      across, limits.overlap, limits.index_bytes, test.text_of);
  for (NearPair& pair : pairs) {
    pair.similarity = test.similarity(pair.dropped, pair.kept);
  }
  return pairs;
}

absl::Status NothingLeft(size_t across) {
  return absl::FailedPreconditionError(absl::StrCat(
      "nothing is left to train on: all ", across,
      " documents are near copies of held-out ones; raise "
      "neighbors.shingle_overlap, or set neighbors.near_duplicate: 1 to train "
      "on them all the same"));
}

}  // namespace

std::vector<NearPair> FindNearDuplicates(
    std::span<const Neighbor> neighbors, int32_t k,
    std::span<const uint8_t> gone, const NearLimits& limits,
    const NearTest& test, const std::function<void(int64_t)>& on_progress) {
  std::vector<NearPair> found;
  if (limits.similarity >= 1) return found;
  std::vector<std::pair<int32_t, int32_t>> pairs;  // later, earlier
  for (size_t i = 0; i < neighbors.size(); ++i) {
    const int32_t from = static_cast<int32_t>(i / k);
    const int32_t to = neighbors[i].document;
    if (!MayBeSimilar(neighbors[i], limits)) continue;
    if (gone[from] || gone[to]) continue;
    pairs.emplace_back(std::max(from, to), std::min(from, to));
  }
  // By the later one, so that an earlier one's fate is known.
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  on_progress(static_cast<int64_t>(neighbors.size() - pairs.size()));
  std::vector<std::optional<NearPair>> checked(pairs.size());
  ParallelFor(static_cast<int64_t>(pairs.size()), kCompareGrain,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  checked[i] =
                      Check(pairs[i].first, pairs[i].second, limits, test);
                }
                on_progress(end - begin);
              });
  std::vector<int32_t> kept_for(gone.size(), -1);
  Crowd crowd =
      CrowdOf(neighbors, k, gone, {pairs, checked}, kept_for, limits, test);
  const auto count = static_cast<int32_t>(gone.size());
  size_t next = 0;
  int32_t document = 0;
  do {
    const int32_t end = std::min(count, crowd.Begin());
    for (; document < end; ++document) {
      std::optional<NearPair> pair;
      for (; next < pairs.size() && pairs[next].first == document; ++next) {
        if (!checked[next] || pair) continue;
        pair = checked[next];
        // An earlier one that went itself speaks for the one it went for.
        const int32_t spoken_for = kept_for[pair->kept];
        if (spoken_for >= 0) pair = Check(document, spoken_for, limits, test);
      }
      if (!pair) {
        const int32_t staying = crowd.StayingCopyOf(document);
        if (staying >= 0) pair = Check(document, staying, limits, test);
      }
      if (!pair) continue;
      kept_for[document] = pair->kept;
      found.push_back(*pair);
    }
    crowd.Finish();
  } while (!crowd.done());
  return found;
}

absl::StatusOr<StageResult> DropNearDuplicates(
    const NearDuplicateInputs& inputs, const NearLimits& limits,
    const std::string& folder, Progress& progress) {
  const NearSide train = NumbersWithout(inputs.held_out);
  const auto advance = [&](int64_t units) { progress.Advance(units); };
  progress.Start("duplicates", static_cast<int64_t>(train.size()), "documents");
  const NearTest test = TestOf(inputs);
  std::vector<NearPair> pairs;
  if (limits.similarity < 1) {
    pairs = PairsAcross(inputs, train, limits, test, advance);
  }
  const size_t across = pairs.size();
  if (across == train.size()) return NothingLeft(across);
  std::vector<uint8_t> dropped(inputs.store.count());
  for (const NearPair& pair : pairs) dropped[pair.dropped] = 1;
  // The graph numbers only what is trained.
  std::vector<uint8_t> gone;
  for (const int32_t document : train) {
    gone.push_back(dropped[document]);
  }
  // Quicker, each, than what was counted before, but where many documents are
  // alike: comparing those is not counted.
  progress.Start("duplicates", static_cast<int64_t>(inputs.neighbors.size()),
                 "neighbors");
  const NearTest among = {
      .similarity =
          [&](int32_t a, int32_t b) {
            return test.similarity(train[a], train[b]);
          },
      .overlap = [&](int32_t a,
                     int32_t b) { return test.overlap(train[a], train[b]); },
      .text_of = [&](int32_t a) { return test.text_of(train[a]); }};
  for (NearPair pair : FindNearDuplicates(inputs.neighbors, inputs.k, gone,
                                          limits, among, advance)) {
    pair.dropped = train[pair.dropped];
    pair.kept = train[pair.kept];
    dropped[pair.dropped] = 1;
    pairs.push_back(pair);
  }
  LORY_RETURN_IF_ERROR(
      WriteArray<uint8_t>(absl::StrCat(folder, "/", kDroppedFile), dropped));
  LORY_RETURN_IF_ERROR(
      WritePairs(inputs.store, pairs, across,
                 absl::StrCat(folder, "/", kNearDuplicatesFile)));
  Show(inputs.store, pairs, progress);
  return StageResult{
      {kDroppedFile, kNearDuplicatesFile},
      {{"near_duplicates", static_cast<double>(pairs.size())},
       {"across_split", static_cast<double>(across)}},
      absl::StrFormat("%d near duplicates dropped, %d of them of held-out "
                      "documents",
                      pairs.size(), across)};
}

}  // namespace lory::corpus
