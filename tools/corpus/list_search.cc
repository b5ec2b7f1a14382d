#include "tools/corpus/list_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "tools/corpus/clusters.h"
#include "tools/corpus/equal_rows.h"
#include "tools/corpus/packed_rows.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

// Nobody looks through more of them to find out how many are enough.
constexpr int64_t kMostProbes = 256;
constexpr int64_t kRowsAtOnce = 65536;
constexpr int64_t kTaskRows = 4096;   // of a list, and of those who ask it
constexpr int64_t kAskedRows = 8192;  // of a sample and its neighbours, copied

// Numbers of rows by list.
struct Members {
  std::vector<int64_t> begins;
  std::vector<int32_t> rows;

  std::span<const int32_t> Of(int64_t list) const {
    return std::span(rows).subspan(begins[list],
                                   begins[list + 1] - begins[list]);
  }
};

// Which rows have each list among the first `width` of their `probes`; those
// without any are in none.
Members InLists(std::span<const int32_t> probes, int64_t stride, int64_t width,
                int64_t lists) {
  Members members;
  const int64_t rows = static_cast<int64_t>(probes.size()) / stride;
  members.begins.resize(lists + 1);
  const auto list_of = [&](int64_t i) {
    return probes[i / width * stride + i % width];
  };
  for (int64_t i = 0; i < rows * width; ++i) {
    if (list_of(i) >= 0) ++members.begins[list_of(i) + 1];
  }
  std::partial_sum(members.begins.begin(), members.begins.end(),
                   members.begins.begin());
  members.rows.resize(members.begins[lists]);
  std::vector<int64_t> at(members.begins.begin(), members.begins.end() - 1);
  for (int64_t i = 0; i < rows * width; ++i) {
    if (list_of(i) < 0) continue;
    members.rows[at[list_of(i)]++] = static_cast<int32_t>(i / width);
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

// Rows of zeros look through no list and are in none.
std::vector<int32_t> WithoutZeros(std::vector<int32_t> probes,
                                  int64_t probe_count,
                                  std::span<const int32_t> zeros) {
  for (const int32_t zero : zeros) {
    std::fill_n(probes.begin() + zero * probe_count, probe_count, -1);
  }
  return probes;
}

// Some rows of a list and some of those that have it among their probes.
struct ListTask {
  std::span<const int32_t> members;
  std::span<const int32_t> queries;
  bool is_first = false;  // of those with these members
};

// One search by lists.
class ListSearch {
 public:
  ListSearch(const MeasuredRows& rows, std::vector<int32_t> probes,
             int64_t probe_count, int64_t lists, BestLists& best)
      : rows_(rows),
        probe_count_(probe_count),
        probes_(WithoutZeros(std::move(probes), probe_count, rows.zeros())),
        members_(InLists(probes_, probe_count, 1, lists)),
        queries_(InLists(probes_, probe_count, probe_count, lists)),
        target_{.lists = &best,
                .same_rows = true,
                .offers_back = [this](int32_t query, int32_t member) {
                  return !Probes(member, probes_[query * probe_count_]);
                }} {}

  // All there is to do, in parts that none has to wait long for.
  std::vector<ListTask> Tasks() const {
    std::vector<ListTask> tasks;
    const auto lists = static_cast<int64_t>(members_.begins.size()) - 1;
    for (int64_t list = 0; list < lists; ++list) {
      for (const auto members : PartsOf(members_.Of(list))) {
        bool is_first = true;
        for (const auto queries : PartsOf(queries_.Of(list))) {
          tasks.push_back({members, queries, std::exchange(is_first, false)});
        }
      }
    }
    return tasks;
  }

  void Search(const ListTask& task) const {
    const PackedRows members(rows_, task.members, kPanelRows);
    const int64_t block = BlockRows(rows_.rows().dimensions());
    const auto count = static_cast<int64_t>(task.queries.size());
    for (int64_t first = 0; first < count; first += block) {
      const PackedRows queries(
          rows_, task.queries.subspan(first, std::min(block, count - first)),
          kGroupRows);
      PanelScan scan(queries, target_);
      for (int64_t panel = 0; panel < members.stacks(); ++panel) {
        scan.Scan(members, panel, /*back=*/true);
      }
    }
  }

 private:
  using Part = std::span<const int32_t>;

  static std::vector<Part> PartsOf(Part rows) {
    std::vector<Part> parts;
    for (; !rows.empty(); rows = rows.subspan(parts.back().size())) {
      parts.push_back(rows.first(std::min<size_t>(kTaskRows, rows.size())));
    }
    return parts;
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

// Counts the pairs of the sample's rows [first, last) by the probes that find
// them; those of rows of zeros are found by none.
void CountPairs(const RowSet& rows, const RowSet& middles,
                const RecallSample& sample, int64_t first, int64_t last,
                std::vector<int64_t>* found_by) {
  const auto k = static_cast<int64_t>(sample.nearest.size()) /
                 static_cast<int64_t>(sample.rows.size());
  const auto own_rows = std::span(sample.rows).subspan(first, last - first);
  const auto nearest =
      std::span(sample.nearest).subspan(first * k, (last - first) * k);
  std::vector<int32_t> asked(own_rows.begin(), own_rows.end());
  for (const Neighbor& one : nearest) {
    asked.push_back(std::max(one.document, 0));
  }
  const std::vector<float> table = CopyOf(rows, asked);
  const RowSet copies(table, rows.dimensions());
  const MeasuredRows measured(copies, Metric::kInnerProduct);
  const int64_t most = static_cast<int64_t>(found_by->size()) - 1;
  const std::vector<int32_t> lists = ProbesOf(copies, middles, most);
  const auto probes = [&](int64_t i) {
    return std::span(lists).subspan(i * most, most);
  };
  for (size_t i = 0; i < nearest.size(); ++i) {
    if (nearest[i].document < 0) continue;
    const auto own = static_cast<int64_t>(i) / k;
    const auto other = static_cast<int64_t>(own_rows.size() + i);
    const bool is_searched =
        measured[own].length > 0 && measured[other].length > 0;
    // A pair is found by as many probes as the nearer of the two needs.
    ++(*found_by)[is_searched ? std::min(RankOf(probes(own), probes(other)[0]),
                                         RankOf(probes(other), probes(own)[0]))
                              : 0];
  }
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
  std::vector<int64_t> found_by(most + 1);
  const auto count = static_cast<int64_t>(sample.rows.size());
  const int64_t part = std::max<int64_t>(kAskedRows / (options.k + 1), 1);
  for (int64_t first = 0; first < count; first += part) {
    CountPairs(rows, middles, sample, first, std::min(first + part, count),
               &found_by);
  }
  const int64_t pairs =
      std::accumulate(found_by.begin(), found_by.end(), int64_t{0});
  int64_t found = 0, counted = 0;
  for (int64_t probes = 1;; probes = MoreProbes(probes)) {
    probes = std::min(probes, most);
    for (; counted < probes; ++counted) found += found_by[counted];
    if (probes == most || static_cast<double>(found) >=
                              options.recall * static_cast<double>(pairs)) {
      return probes;
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
  const ListSearch search(measured, ProbesOf(rows, middles, probes), probes,
                          middles.count(), best);
  const std::vector<ListTask> tasks = search.Tasks();
  ParallelFor(static_cast<int64_t>(tasks.size()), 1, [&](int64_t i, int64_t) {
    search.Search(tasks[i]);
    if (tasks[i].is_first) {
      done(static_cast<int64_t>(tasks[i].members.size()));
    }
  });
  OfferZeros(measured, measured, /*same_rows=*/true, options.k, best);
  done(static_cast<int64_t>(measured.zeros().size()));
  TakeAll(best, rows.count(), options.k, take);
}

namespace {

// Of rows of which no two need be equal for the search to be quick.
SearchReport SearchDistinct(const RowSet& rows, const NeighborOptions& options,
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

}  // namespace

SearchReport SearchNeighbors(const RowSet& rows, const NeighborOptions& options,
                             const RowsDone& done, const TakeLists& take) {
  const EqualRows equal(rows);
  if (!equal.any()) return SearchDistinct(rows, options, done, take);
  // Copies do not change how the others are searched.
  NeighborOptions as_all = options;
  as_all.method = IsExact(options, rows.count()) ? SearchMethod::kExact
                                                 : SearchMethod::kLists;
  EqualRowLists lists(equal, options.metric, options.k, take);
  const SearchReport report = SearchDistinct(
      equal.Distinct(), as_all, done,
      [&](std::span<const Neighbor> found) { lists.Take(found); });
  done(rows.count() - equal.group_count());
  return report;
}

}  // namespace lory::corpus
