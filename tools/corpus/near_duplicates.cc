#include "tools/corpus/near_duplicates.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/array_file.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/parallel.h"
#include "tools/corpus/shingles.h"

namespace lory::corpus {
namespace {

constexpr size_t kWrittenPairs = 10'000;
constexpr size_t kShownPairs = 3;
constexpr int64_t kGrain = 64;    // pairs
constexpr int64_t kBlock = 4096;  // queries against the held-out documents

// The earlier of two, if the later is a near copy of it.
std::optional<NearPair> Check(int32_t later, int32_t earlier,
                              const NearDuplicateOptions& options,
                              const NearTest& test) {
  NearPair pair = {.dropped = later, .kept = earlier};
  pair.similarity = test.similarity(later, earlier);
  if (pair.similarity < options.similarity) return std::nullopt;
  pair.overlap = test.overlap(later, earlier);
  if (pair.overlap < options.overlap) return std::nullopt;
  return pair;
}

// The store's numbers of what is trained (or held out), and their rows.
struct Side {
  std::vector<int32_t> documents;
  std::vector<float> rows;
};

Side SideOf(const NearDuplicateInputs& inputs, bool held_out) {
  Side side;
  for (size_t i = 0; i < inputs.held_out.size(); ++i) {
    if ((inputs.held_out[i] != 0) != held_out) continue;
    side.documents.push_back(static_cast<int32_t>(i));
    const auto row =
        inputs.vectors.subspan(i * inputs.dimensions, inputs.dimensions);
    side.rows.insert(side.rows.end(), row.begin(), row.end());
  }
  return side;
}

// Documents to train that are near copies of held-out ones.
std::vector<NearPair> FindAcross(const Side& train, const Side& held_out,
                                 int32_t dimensions,
                                 const NearDuplicateOptions& options,
                                 const NearTest& test) {
  std::vector<NearPair> found;
  const int64_t count = static_cast<int64_t>(train.documents.size());
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t queries = std::min(kBlock, count - first);
    const std::vector<std::vector<int32_t>> candidates = FindAtLeast(
        std::span(train.rows).subspan(first * dimensions, queries * dimensions),
        held_out.rows, dimensions, options.similarity);
    std::vector<std::optional<NearPair>> pairs(queries);
    ParallelFor(queries, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (size_t j = 0; j < candidates[i].size() && !pairs[i]; ++j) {
          pairs[i] = Check(train.documents[first + i],
                           held_out.documents[candidates[i][j]], options, test);
        }
      }
    });
    for (const auto& pair : pairs) {
      if (pair) found.push_back(*pair);
    }
  }
  return found;
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
                return Similarity(row(a), row(b), inputs.dimensions);
              },
          .overlap =
              [&inputs](int32_t a, int32_t b) {
                return Overlap(ShinglesOf(inputs.store.TextOf(a)),
                               ShinglesOf(inputs.store.TextOf(b)));
              }};
}

}  // namespace

std::vector<NearPair> FindNearDuplicates(std::span<const Neighbor> neighbors,
                                         int32_t k,
                                         std::span<const uint8_t> gone,
                                         const NearDuplicateOptions& options,
                                         const NearTest& test) {
  std::vector<NearPair> found;
  if (options.similarity >= 1) return found;
  std::vector<std::pair<int32_t, int32_t>> pairs;  // later, earlier
  for (size_t i = 0; i < neighbors.size(); ++i) {
    const int32_t from = static_cast<int32_t>(i / k);
    const int32_t to = neighbors[i].document;
    // Scores were rounded to float: those on the edge are looked at again.
    if (to < 0 || neighbors[i].similarity < options.similarity - 1e-6) continue;
    if (gone[from] || gone[to]) continue;
    pairs.emplace_back(std::max(from, to), std::min(from, to));
  }
  // By the later one, so that an earlier one's fate is known.
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  std::vector<std::optional<NearPair>> checked(pairs.size());
  ParallelFor(static_cast<int64_t>(pairs.size()), kGrain,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  checked[i] =
                      Check(pairs[i].first, pairs[i].second, options, test);
                }
              });
  std::vector<int32_t> kept_for(gone.size(), -1);
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto [later, earlier] = pairs[i];
    if (!checked[i] || kept_for[later] >= 0) continue;
    // An earlier one that went itself speaks for the one it went for.
    if (kept_for[earlier] >= 0) {
      checked[i] = Check(later, kept_for[earlier], options, test);
      if (!checked[i]) continue;
    }
    kept_for[later] = checked[i]->kept;
    found.push_back(*checked[i]);
  }
  return found;
}

absl::StatusOr<StageResult> DropNearDuplicates(
    const NearDuplicateInputs& inputs, const NearDuplicateOptions& options,
    const std::string& folder, Progress& progress) {
  const Side train = SideOf(inputs, false);
  progress.Start("duplicates", 0);
  const NearTest test = TestOf(inputs);
  std::vector<NearPair> pairs;
  if (options.similarity < 1) {
    pairs = FindAcross(train, SideOf(inputs, true), inputs.dimensions, options,
                       test);
  }
  const size_t across = pairs.size();
  std::vector<uint8_t> dropped(inputs.store.count());
  for (const NearPair& pair : pairs) dropped[pair.dropped] = 1;
  // The graph numbers only what is trained.
  std::vector<uint8_t> gone;
  for (const int32_t document : train.documents) {
    gone.push_back(dropped[document]);
  }
  const NearTest among = {
      .similarity =
          [&](int32_t a, int32_t b) {
            return test.similarity(train.documents[a], train.documents[b]);
          },
      .overlap =
          [&](int32_t a, int32_t b) {
            return test.overlap(train.documents[a], train.documents[b]);
          }};
  for (NearPair pair :
       FindNearDuplicates(inputs.neighbors, inputs.k, gone, options, among)) {
    pair.dropped = train.documents[pair.dropped];
    pair.kept = train.documents[pair.kept];
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
