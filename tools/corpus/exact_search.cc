#include "tools/corpus/exact_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tools/corpus/parallel.h"
#include "tools/corpus/row_products.h"

namespace lory::corpus {
namespace {

constexpr int64_t kTakenRows = 8192;
constexpr int64_t kTakeGrain = 64;
constexpr int64_t kQueriesAtOnce = 65536;  // their lists are in memory

std::vector<int32_t> Range(int64_t begin, int64_t end) {
  std::vector<int32_t> numbers(end - begin);
  std::iota(numbers.begin(), numbers.end(), static_cast<int32_t>(begin));
  return numbers;
}

// Rows of a part, whole blocks.
int64_t PartRows(int32_t dimensions, int64_t packed_bytes) {
  const int64_t block = BlockRows(dimensions);
  const int64_t rows = packed_bytes / (PairsOf(dimensions) * 4);
  return std::max<int64_t>(rows / block, 1) * block;
}

float Finite(double value) {
  return std::isfinite(value) ? static_cast<float>(value)
                              : -std::numeric_limits<float>::infinity();
}

}  // namespace

BestLists::Weigh WeighExactly(const MeasuredRows& queries,
                              const MeasuredRows& rows) {
  return [&queries, &rows](int64_t row, std::span<Neighbor> others) {
    for (size_t i = 0; i < others.size(); i += 4) {
      const float* four[4];
      for (size_t j = 0; j < 4; ++j) {
        four[j] = rows.rows().Row(
            others[std::min(i + j, others.size() - 1)].document);
      }
      double similarities[4];
      FourSimilarities(queries.rows().Row(row), four, rows.rows().dimensions(),
                       similarities);
      for (size_t j = 0; j < 4 && i + j < others.size(); ++j) {
        others[i + j].similarity =
            Finite(similarities[j] / (queries.DivisorOf(row) *
                                      rows.DivisorOf(others[i + j].document)));
      }
    }
  };
}

void OfferZeros(const MeasuredRows& queries, const MeasuredRows& rows,
                bool same_rows, int32_t k, BestLists& lists) {
  if (queries.zeros().empty() && rows.zeros().empty()) return;
  const auto zeros =
      rows.zeros().first(std::min(static_cast<size_t>(k), rows.zeros().size()));
  ParallelFor(queries.count(), kTakeGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (queries[i].length > 0) {
        for (const int32_t zero : zeros) lists.Offer(i, zero, 0);
        continue;
      }
      const int64_t self = same_rows ? i : rows.count();
      const int64_t last = std::min(int64_t{k} + (self < k), rows.count());
      for (int64_t other = 0; other < last; ++other) {
        if (other != self) lists.Offer(i, static_cast<int32_t>(other), 0);
      }
    }
  });
}

void TakeAll(BestLists& lists, int64_t rows, int32_t k, const TakeLists& take) {
  std::vector<Neighbor> taken;
  for (int64_t first = 0; first < rows; first += kTakenRows) {
    const int64_t count = std::min(kTakenRows, rows - first);
    taken.resize(count * k);
    ParallelFor(count, kTakeGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        lists.Take(first + i, std::span(taken).subspan(i * k, k));
      }
    });
    take(taken);
  }
}

void SearchAll(const RowSet& rows, int32_t k, const SearchLimits& limits,
               const RowsDone& done, const TakeLists& take) {
  const MeasuredRows measured(rows, limits.metric);
  const auto numbers = measured.with_length();
  const auto count = static_cast<int64_t>(numbers.size());
  BestLists lists(
      static_cast<int32_t>(std::clamp<int64_t>(rows.count() - 1, 1, k)),
      measured.ErrorsAgainst(measured, Range(0, rows.count())),
      WeighExactly(measured, measured));
  const ScanTarget target = {
      .lists = &lists, .same_rows = true, .offers_back = [](int32_t, int32_t) {
        return true;
      }};
  const int64_t block_rows = BlockRows(rows.dimensions());
  const int64_t part_rows = PartRows(rows.dimensions(), limits.packed_bytes);
  for (int64_t part = 0; part < count; part += part_rows) {
    const int64_t part_end = std::min(part + part_rows, count);
    const auto members = PackedRows::InParallel(
        measured, numbers.subspan(part, part_end - part), kPanelRows);
    // With every block that is not after it: pairs are taken once.
    const int64_t blocks = (part_end + block_rows - 1) / block_rows;
    ParallelFor(blocks, 1, [&](int64_t block, int64_t) {
      const int64_t begin = block * block_rows;
      const int64_t end = std::min(begin + block_rows, part_end);
      const PackedRows queries(measured, numbers.subspan(begin, end - begin),
                               kGroupRows);
      PanelScan scan(queries, target);
      const int64_t first = std::max<int64_t>(begin - part, 0) / kPanelRows;
      for (int64_t panel = first; panel < members.stacks(); ++panel) {
        // Within the block itself both of a pair are queries.
        scan.Scan(members, panel, part + panel * kPanelRows >= end);
      }
      if (begin >= part) done(end - begin);
    });
  }
  OfferZeros(measured, measured, /*same_rows=*/true, k, lists);
  done(static_cast<int64_t>(measured.zeros().size()));
  TakeAll(lists, rows.count(), k, take);
}

std::vector<Neighbor> SearchFor(const RowSet& queries, const RowSet& rows,
                                int32_t k, const SearchLimits& limits,
                                const RowsDone& done) {
  std::vector<Neighbor> found;
  if (rows.count() == 0) {
    found.resize(queries.count() * k);
    return found;
  }
  const MeasuredRows measured(rows, limits.metric);
  const int64_t block_rows = BlockRows(rows.dimensions());
  const int64_t part_rows = PartRows(rows.dimensions(), limits.packed_bytes);
  for (int64_t first = 0; first < queries.count(); first += kQueriesAtOnce) {
    const int64_t count = std::min(kQueriesAtOnce, queries.count() - first);
    const RowSet own = queries.Part(first, count);
    const MeasuredRows asked(own, limits.metric);
    const auto places =
        static_cast<int32_t>(std::min<int64_t>(k, rows.count()));
    BestLists lists =
        limits.exact
            ? BestLists(places, asked.ErrorsAgainst(measured, Range(0, count)),
                        WeighExactly(asked, measured))
            : BestLists(places, std::vector<float>(count),
                        [](int64_t, std::span<Neighbor>) {});
    const ScanTarget target = {.lists = &lists};
    const auto numbers = measured.with_length();
    const auto row_count = static_cast<int64_t>(numbers.size());
    const auto asking = asked.with_length();
    const auto asking_count = static_cast<int64_t>(asking.size());
    for (int64_t part = 0; part < row_count; part += part_rows) {
      const auto members = PackedRows::InParallel(
          measured,
          numbers.subspan(part, std::min(part_rows, row_count - part)),
          kPanelRows);
      const int64_t blocks = (asking_count + block_rows - 1) / block_rows;
      ParallelFor(blocks, 1, [&](int64_t block, int64_t) {
        const int64_t begin = block * block_rows;
        const PackedRows block_queries(
            asked,
            asking.subspan(begin, std::min(block_rows, asking_count - begin)),
            kGroupRows);
        PanelScan scan(block_queries, target);
        for (int64_t panel = 0; panel < members.stacks(); ++panel) {
          scan.Scan(members, panel, /*back=*/false);
        }
      });
    }
    OfferZeros(asked, measured, /*same_rows=*/false, k, lists);
    TakeAll(lists, count, k, [&](std::span<const Neighbor> lists_of_some) {
      found.insert(found.end(), lists_of_some.begin(), lists_of_some.end());
      done(static_cast<int64_t>(lists_of_some.size()) / k);
    });
  }
  return found;
}

}  // namespace lory::corpus
