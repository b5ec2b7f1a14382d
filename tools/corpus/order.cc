#include "tools/corpus/order.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/neighbors.h"
#include "tools/corpus/walk.h"
#include "tools/corpus/walk_report.h"

namespace lory::corpus {
namespace {

Walk WalkBy(const OrderOptions& options, std::span<const Neighbor> neighbors,
            std::span<const uint8_t> gone) {
  const int32_t k = options.neighbor_count;
  switch (options.order) {
    case DocumentOrder::kSimilarity:
      return options.graph == Graph::kDirected
                 ? WalkDirected(neighbors, k, gone, options.seed)
                 : WalkSimilar(neighbors, k, gone, options.seed);
    case DocumentOrder::kReleasedCode:
      return WalkAsReleased(neighbors, k, gone);
    case DocumentOrder::kRandom:
      break;
  }
  return WalkRandomly(gone, options.seed);
}

// Adds one pass to those before.
void Append(const Walk& pass, const WalkReport& report, Walk* walk,
            WalkReport* total) {
  const int32_t begin = static_cast<int32_t>(walk->order.size());
  for (const int32_t chain : pass.chain_begins) {
    walk->chain_begins.push_back(begin + chain);
  }
  walk->order.insert(walk->order.end(), pass.order.begin(), pass.order.end());
  total->documents += report.documents;
  total->weight += report.weight;
  total->random_weight += report.random_weight;
  total->upper_bound += report.upper_bound;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> WhatIsNotUsed(
    const OrderOptions& options) {
  std::vector<std::pair<std::string, std::string>> said;
  if (options.order != DocumentOrder::kSimilarity &&
      options.graph == Graph::kDirected) {
    said.emplace_back("neighbors.graph", absl::StrCat("is not used by order: ",
                                                      NameOf(options.order)));
  }
  if (options.order == DocumentOrder::kReleasedCode &&
      options.neighbor_count < kReleasedNearest) {
    said.emplace_back(
        "neighbors.k",
        absl::StrCat("order: released-code looks at the ", kReleasedNearest,
                     " nearest, of which there are ", options.neighbor_count,
                     " here"));
  }
  return said;
}

absl::StatusOr<StageResult> OrderDocuments(std::span<const Neighbor> neighbors,
                                           std::span<const uint8_t> held_out,
                                           std::span<const uint8_t> copies,
                                           const OrderOptions& options,
                                           const std::string& folder,
                                           Progress& progress) {
  // The graph numbers only what is trained: its n-th is the document ...
  const std::vector<int32_t> documents = NumbersWithout(held_out);
  Walk walk;
  WalkReport report;
  for (int pass = 0;; ++pass) {
    std::vector<uint8_t> gone;
    for (const int32_t document : documents) {
      gone.push_back(copies[document] <= pass);
    }
    OrderOptions own = options;
    own.seed += pass;
    const Walk next = WalkBy(own, neighbors, gone);
    if (next.order.empty()) break;
    Append(next, ReportOn(next, neighbors, options.neighbor_count, gone), &walk,
           &report);
  }
  ReportChains(walk, &report);
  for (int32_t& document : walk.order) document = documents[document];
  LORY_RETURN_IF_ERROR(
      WriteArray<int32_t>(absl::StrCat(folder, "/", kOrderFile), walk.order));
  return StageResult{{kOrderFile},
                     FiguresOf(report),
                     absl::StrFormat("%d documents by %s, %s", report.documents,
                                     NameOf(options.order), Describe(report))};
}

}  // namespace lory::corpus
