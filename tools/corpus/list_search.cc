#include "tools/corpus/list_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "tools/corpus/clusters.h"
#include "tools/corpus/packed_rows.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

// Nobody looks through more of them to find out how many are enough.
constexpr int64_t kMostProbes = 256;
constexpr int64_t kRowsAtOnce = 65536;
constexpr int64_t kMembersAtOnce = 4096;  // of a list, packed

// Numbers of rows by list.
struct Members {
  std::vector<int64_t> begins;
  std::vector<int32_t> rows;

  std::span<const int32_t> Of(int64_t list) const {
    return std::span(rows).subspan(begins[list],
                                   begins[list + 1] - begins[list]);
  }
};

// Which rows have each list among the first `width` of their `probes`.
Members InLists(std::span<const int32_t> probes, int64_t stride, int64_t width,
                int64_t lists) {
  Members members;
  const int64_t rows = static_cast<int64_t>(probes.size()) / stride;
  members.begins.resize(lists + 1);
  members.rows.resize(rows * width);
  for (int64_t i = 0; i < rows * width; ++i) {
    ++members.begins[probes[i / width * stride + i % width] + 1];
  }
  std::partial_sum(members.begins.begin(), members.begins.end(),
                   members.begins.begin());
  std::vector<int64_t> at(members.begins.begin(), members.begins.end() - 1);
  for (int64_t i = 0; i < rows * width; ++i) {
    const int64_t list = probes[i / width * stride + i % width];
    members.rows[at[list]++] = static_cast<int32_t>(i / width);
  }
  return members;
}

// The nearest lists of every row, the nearest first.
std::vector<int32_t> ProbesOf(const RowSet& rows, const RowSet& middles,
                              int64_t probes) {
  std::vector<int32_t> lists;
  lists.reserve(rows.count() * probes);
  for (int64_t first = 0; first < rows.count(); first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, rows.count() - first);
    for (const Neighbor& list :
         SearchFor(rows.Part(first, count), middles,
                   static_cast<int32_t>(probes), {.exact = false})) {
      lists.push_back(list.document);
    }
  }
  return lists;
}

// One search by lists.
class ListSearch {
 public:
  ListSearch(const MeasuredRows& rows, std::vector<int32_t> probes,
             int64_t probe_count, int64_t lists, BestLists& best)
      : rows_(rows),
        probe_count_(probe_count),
        probes_(std::move(probes)),
        members_(InLists(probes_, probe_count, 1, lists)),
        queries_(InLists(probes_, probe_count, probe_count, lists)),
        target_{.lists = &best,
                .same_rows = true,
                .offers_back = [this](int32_t query, int32_t member) {
                  return !Probes(member, probes_[query * probe_count_]);
                }} {}

  // Compares the members of a list with all that have it among their probes.
  void Search(int64_t list) {
    const auto rows = members_.Of(list);
    const auto count = static_cast<int64_t>(rows.size());
    for (int64_t first = 0; first < count; first += kMembersAtOnce) {
      SearchPart(list,
                 rows.subspan(first, std::min(kMembersAtOnce, count - first)));
    }
  }

  int64_t Size(int64_t list) const {
    return static_cast<int64_t>(members_.Of(list).size());
  }

 private:
  void SearchPart(int64_t list, std::span<const int32_t> member_rows) {
    const PackedRows members(rows_, member_rows, kPanelRows);
    const auto query_rows = queries_.Of(list);
    const int64_t block = BlockRows(rows_.rows().dimensions());
    const auto count = static_cast<int64_t>(query_rows.size());
    for (int64_t first = 0; first < count; first += block) {
      const PackedRows queries(
          rows_, query_rows.subspan(first, std::min(block, count - first)),
          kGroupRows);
      PanelScan scan(queries, target_);
      for (int64_t panel = 0; panel < members.stacks(); ++panel) {
        scan.Scan(members, panel, /*back=*/true);
      }
    }
  }

  // Then it meets the list's members as a query.
  bool Probes(int64_t row, int32_t list) const {
    const auto own =
        std::span(probes_).subspan(row * probe_count_, probe_count_);
    return std::find(own.begin(), own.end(), list) != own.end();
  }

  const MeasuredRows& rows_;
  const int64_t probe_count_;
  const std::vector<int32_t> probes_;  // of each row; the first has it
  const Members members_;
  const Members queries_;
  const ScanTarget target_;
};

// The first place of `list` among the probes of a row, or their number.
int64_t RankOf(std::span<const int32_t> probes, int32_t list) {
  return std::find(probes.begin(), probes.end(), list) - probes.begin();
}

// 1, 2, 3, 4, 6, 8, 12 and so on.
int64_t MoreProbes(int64_t probes) {
  if (probes == 1) return 2;
  return std::has_single_bit(static_cast<uint64_t>(probes)) ? probes * 3 / 2
                                                            : probes / 3 * 4;
}

SearchLimits LimitsOf(const NeighborOptions& options) {
  return {.packed_bytes = options.memory_mb << 20, .metric = options.metric};
}

std::vector<float> CopyOf(const RowSet& rows,
                          std::span<const int32_t> numbers) {
  std::vector<float> table;
  table.reserve(numbers.size() * rows.dimensions());
  for (const int32_t number : numbers) {
    const float* const row = rows.Row(number);
    table.insert(table.end(), row, row + rows.dimensions());
  }
  return table;
}

double RecallOf(const RecallSample& sample, const std::vector<Neighbor>& found,
                int32_t k) {
  int64_t wanted = 0, hits = 0;
  for (size_t i = 0; i < sample.nearest.size(); ++i) {
    if (sample.nearest[i].document < 0) continue;
    ++wanted;
    const auto row = found.begin() + static_cast<int64_t>(i) / k * k;
    hits += std::find(row, row + k, sample.nearest[i]) != row + k;
  }
  return wanted == 0 ? 1
                     : static_cast<double>(hits) / static_cast<double>(wanted);
}

}  // namespace

int64_t ListsFor(int64_t rows) {
  return std::max<int64_t>(
      1, static_cast<int64_t>(4 * std::sqrt(static_cast<double>(rows))));
}

RecallSample TakeSample(const RowSet& rows, const NeighborOptions& options) {
  RecallSample sample;
  const int64_t count = std::min(rows.count(), options.recall_sample);
  for (int64_t i = 0; i < count; ++i) {
    sample.rows.push_back(static_cast<int32_t>(i * rows.count() / count));
  }
  // The row itself is among its nearest, but not always the first.
  const int32_t k = options.k;
  const std::vector<float> queries = CopyOf(rows, sample.rows);
  const auto found = SearchFor(RowSet(queries, rows.dimensions()), rows, k + 1,
                               LimitsOf(options));
  for (int64_t i = 0; i < count; ++i) {
    const auto row = std::span(found).subspan(i * (k + 1), k + 1);
    int32_t taken = 0;
    for (const Neighbor& one : row) {
      if (taken == k || one.document == sample.rows[i]) continue;
      sample.nearest.push_back(one);
      ++taken;
    }
  }
  return sample;
}

int64_t ProbesFor(const RowSet& rows, const RowSet& middles,
                  const RecallSample& sample, const NeighborOptions& options) {
  const int64_t most = std::min(middles.count(), kMostProbes);
  std::vector<int32_t> asked = sample.rows;
  for (const Neighbor& one : sample.nearest) {
    asked.push_back(std::max(one.document, 0));
  }
  const std::vector<float> table = CopyOf(rows, asked);
  const std::vector<int32_t> lists =
      ProbesOf(RowSet(table, rows.dimensions()), middles, most);
  const auto probes = [&](size_t i) {
    return std::span(lists).subspan(i * most, most);
  };
  // A pair is found by as many probes as the nearer of the two needs.
  std::vector<int64_t> found_by(most + 1);
  int64_t pairs = 0;
  for (size_t i = 0; i < sample.nearest.size(); ++i) {
    if (sample.nearest[i].document < 0) continue;
    const auto own = probes(i / options.k);
    const auto other = probes(sample.rows.size() + i);
    ++found_by[std::min(RankOf(own, other[0]), RankOf(other, own[0]))];
    ++pairs;
  }
  int64_t found = 0, counted = 0;
  for (int64_t count = 1;; count = MoreProbes(count)) {
    count = std::min(count, most);
    for (; counted < count; ++counted) found += found_by[counted];
    if (count == most || static_cast<double>(found) >=
                             options.recall * static_cast<double>(pairs)) {
      return count;
    }
  }
}

void SearchLists(const RowSet& rows, const RowSet& middles, int64_t probes,
                 const NeighborOptions& options, const RowsDone& done,
                 const TakeLists& take) {
  const MeasuredRows measured(rows, options.metric);
  std::vector<int32_t> all(rows.count());
  std::iota(all.begin(), all.end(), 0);
  BestLists best(
      static_cast<int32_t>(std::clamp<int64_t>(rows.count() - 1, 1, options.k)),
      measured.ErrorsAgainst(measured, all), WeighExactly(measured, measured));
  ListSearch search(measured, ProbesOf(rows, middles, probes), probes,
                    middles.count(), best);
  ParallelFor(middles.count(), 1, [&](int64_t list, int64_t) {
    search.Search(list);
    done(search.Size(list));
  });
  TakeAll(best, rows.count(), options.k, take);
}

SearchReport SearchNeighbors(const RowSet& rows, const NeighborOptions& options,
                             const RowsDone& done, const TakeLists& take) {
  const SearchLimits limits = LimitsOf(options);
  if (IsExact(options, rows.count()) || rows.count() < 2) {
    SearchAll(rows, options.k, limits, done, take);
    return {};
  }
  SearchReport report;
  const std::vector<float> table = FindMiddles(
      rows, options.lists > 0 ? options.lists : ListsFor(rows.count()),
      options.seed);
  const RowSet middles(table, rows.dimensions());
  const RecallSample sample = TakeSample(rows, options);
  report.lists = middles.count();
  report.probes = options.probes > 0
                      ? std::min(options.probes, report.lists)
                      : ProbesFor(rows, middles, sample, options);
  std::vector<Neighbor> found;  // of the sample
  int64_t first = 0;
  SearchLists(
      rows, middles, report.probes, options, done,
      [&](std::span<const Neighbor> lists) {
        const auto end = first + static_cast<int64_t>(lists.size()) / options.k;
        for (const int32_t row : sample.rows) {
          if (row < first || row >= end) continue;
          const auto own = lists.subspan((row - first) * options.k, options.k);
          found.insert(found.end(), own.begin(), own.end());
        }
        first = end;
        take(lists);
      });
  report.recall = RecallOf(sample, found, options.k);
  return report;
}

}  // namespace lory::corpus
