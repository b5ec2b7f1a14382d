#include "tools/corpus/walk_report.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "absl/strings/str_format.h"

namespace lory::corpus {
namespace {

// What `from` gives `to`; none: it does not list it.
std::optional<float> Listed(std::span<const Neighbor> neighbors, int32_t k,
                            int32_t from, int32_t to) {
  for (const Neighbor& neighbor : neighbors.subspan(int64_t{from} * k, k)) {
    if (neighbor.document == to) return neighbor.similarity;
  }
  return std::nullopt;
}

// The two largest of what it is offered, none below zero.
struct BestTwo {
  std::array<float, 2> values = {0, 0};

  void Offer(float value) {
    if (value > values[1]) values[1] = value;
    if (values[1] > values[0]) std::swap(values[0], values[1]);
  }
};

void AddEdges(std::span<const Neighbor> neighbors, int32_t k,
              std::span<const uint8_t> dropped, WalkReport* report) {
  std::vector<BestTwo> best(dropped.size());
  double all = 0;
  for (size_t i = 0; i < neighbors.size(); ++i) {
    const int32_t from = static_cast<int32_t>(i / k);
    const auto& [to, similarity] = neighbors[i];
    if (to < 0 || dropped[from] || dropped[to]) continue;
    // Listed by both, an edge is taken once.
    if (to < from && Listed(neighbors, k, to, from)) continue;
    all += similarity;
    best[from].Offer(similarity);
    best[to].Offer(similarity);
  }
  for (const BestTwo& two : best) {
    report->upper_bound += (two.values[0] + two.values[1]) / 2;
  }
  if (report->documents > 1) {
    report->random_weight = all * 2 / static_cast<double>(report->documents);
  }
}

}  // namespace

WalkReport ReportOn(const Walk& walk, std::span<const Neighbor> neighbors,
                    int32_t k, std::span<const uint8_t> dropped) {
  WalkReport report;
  report.documents = static_cast<int64_t>(walk.order.size());
  for (size_t i = 1; i < walk.order.size(); ++i) {
    const int32_t a = walk.order[i - 1], b = walk.order[i];
    const auto there = Listed(neighbors, k, a, b);
    report.weight += there ? *there : Listed(neighbors, k, b, a).value_or(0);
  }
  AddEdges(neighbors, k, dropped, &report);
  ReportChains(walk, &report);
  return report;
}

void ReportChains(const Walk& walk, WalkReport* report) {
  report->jumps = walk.jumps();
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < walk.chain_begins.size(); ++i) {
    const int64_t end = i + 1 < walk.chain_begins.size()
                            ? walk.chain_begins[i + 1]
                            : static_cast<int64_t>(walk.order.size());
    lengths.push_back(end - walk.chain_begins[i]);
  }
  if (lengths.empty()) return;
  std::sort(lengths.begin(), lengths.end());
  report->longest_chain = lengths.back();
  report->median_chain = lengths[lengths.size() / 2];
  report->mean_chain = static_cast<double>(report->documents) /
                       static_cast<double>(lengths.size());
}

std::map<std::string, double> FiguresOf(const WalkReport& report) {
  return {{"documents", static_cast<double>(report.documents)},
          {"path_weight", report.weight},
          {"random_weight", report.random_weight},
          {"weight_bound", report.upper_bound},
          {"jumps", static_cast<double>(report.jumps)},
          {"mean_chain", report.mean_chain},
          {"median_chain", static_cast<double>(report.median_chain)},
          {"longest_chain", static_cast<double>(report.longest_chain)}};
}

std::string Describe(const WalkReport& report) {
  const double bound = std::max(report.upper_bound, 1e-9);
  return absl::StrFormat(
      "%d jumps, chains of %.1f documents on average and %d at most; path "
      "weight %.1f, %.0f %% of what no order can exceed (random: %.1f %%)",
      report.jumps, report.mean_chain, report.longest_chain, report.weight,
      100 * report.weight / bound, 100 * report.random_weight / bound);
}

}  // namespace lory::corpus
