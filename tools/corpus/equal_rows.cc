#include "tools/corpus/equal_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "common/base/hash.h"
#include "tools/corpus/cosine.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

constexpr int64_t kHashGrain = 512;  // rows

// A row's hash and number.
using Key = std::pair<uint64_t, int32_t>;

std::vector<Key> SortedKeys(const RowSet& rows) {
  std::vector<Key> keys(rows.count());
  const size_t bytes = rows.dimensions() * sizeof(float);
  ParallelFor(rows.count(), kHashGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      keys[i] = {FastHash64(rows.Row(i), bytes), static_cast<int32_t>(i)};
    }
  });
  std::sort(keys.begin(), keys.end());
  return keys;
}

// What a search gives a row for a copy of it.
float SelfSimilarity(const float* row, int32_t dimensions, Metric metric) {
  const double divisor =
      metric == Metric::kCosine ? CosineDivisor(row, dimensions) : 1;
  const double similarity =
      Similarity(row, row, dimensions) / (divisor * divisor);
  return std::isfinite(similarity) ? static_cast<float>(similarity)
                                   : -std::numeric_limits<float>::infinity();
}

}  // namespace

EqualRows::EqualRows(const RowSet& rows) : rows_(rows) {
  const std::vector<Key> keys = SortedKeys(rows);
  const size_t bytes = rows.dimensions() * sizeof(float);
  const auto same = [&](const Key& a, const Key& b) {
    return a.first == b.first &&
           std::memcmp(rows.Row(a.second), rows.Row(b.second), bytes) == 0;
  };
  // The first of its group by row; equal rows come in order.
  std::vector<int32_t> first_of(rows.count());
  bool any = false;
  for (size_t i = 0, first = 0; i < keys.size(); ++i) {
    if (i > 0 && same(keys[first], keys[i])) {
      any = true;
    } else {
      first = i;
    }
    first_of[keys[i].second] = keys[first].second;
  }
  if (!any) return;
  group_of_.resize(rows.count());
  begins_ = {0};
  for (int64_t i = 0; i < rows.count(); ++i) {
    if (first_of[i] == i) {
      group_of_[i] = static_cast<int32_t>(firsts_.size());
      firsts_.push_back(rows.NumberOf(i));
      begins_.push_back(0);
    } else {
      group_of_[i] = group_of_[first_of[i]];
    }
    ++begins_[group_of_[i] + 1];
  }
  for (size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
  members_.resize(rows.count());
  std::vector<int32_t> at(begins_.begin(), begins_.end() - 1);
  for (int64_t i = 0; i < rows.count(); ++i) {
    members_[at[group_of_[i]]++] = static_cast<int32_t>(i);
  }
}

RowSet EqualRows::Distinct() const {
  return RowSet(rows_.table(), rows_.dimensions(), firsts_);
}

EqualRowLists::EqualRowLists(const EqualRows& equal, Metric metric, int32_t k,
                             const TakeLists& take)
    : equal_(equal),
      distinct_(equal.Distinct()),
      metric_(metric),
      k_(k),
      take_(take),
      kept_(equal.group_count()) {}

void EqualRowLists::Take(std::span<const Neighbor> lists) {
  const int64_t first_group = next_group_;
  next_group_ += static_cast<int64_t>(lists.size()) / k_;
  for (int64_t group = first_group; group < next_group_; ++group) {
    if (equal_.RowsOf(group).size() < 2) continue;
    const auto list = lists.subspan((group - first_group) * k_, k_);
    kept_[group].assign(list.begin(), list.end());
  }
  const int64_t first_row = next_row_;
  while (next_row_ < equal_.row_count() &&
         equal_.GroupOf(next_row_) < next_group_) {
    ++next_row_;
  }
  std::vector<Neighbor> all((next_row_ - first_row) * k_);
  ParallelFor(
      next_row_ - first_row, kHashGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t group = equal_.GroupOf(first_row + i);
          const auto list = ListOf(
              first_row + i, kept_[group].empty()
                                 ? lists.subspan((group - first_group) * k_, k_)
                                 : std::span<const Neighbor>(kept_[group]));
          std::copy(list.begin(), list.end(), all.begin() + i * k_);
        }
      });
  if (!all.empty()) take_(all);
}

std::vector<Neighbor> EqualRowLists::ListOf(
    int64_t row, std::span<const Neighbor> of_group) const {
  // Groups by their similarity, the row's own among them.
  const int32_t own = equal_.GroupOf(row);
  std::vector<Neighbor> groups = {
      {own,
       SelfSimilarity(distinct_.Row(own), distinct_.dimensions(), metric_)}};
  for (const Neighbor& group : of_group) {
    if (group.document >= 0) groups.push_back(group);
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Neighbor& a, const Neighbor& b) {
                     return a.similarity > b.similarity;
                   });
  // Of groups as similar as each other the smaller numbers, whosever.
  std::vector<Neighbor> list;
  for (size_t i = 0; i < groups.size() && std::ssize(list) < k_;) {
    const auto begin = std::ssize(list);
    const float similarity = groups[i].similarity;
    for (; i < groups.size() && groups[i].similarity == similarity; ++i) {
      int32_t taken = 0;
      for (const int32_t other : equal_.RowsOf(groups[i].document)) {
        if (other == row) continue;
        if (taken++ == k_) break;
        list.push_back({other, similarity});
      }
    }
    std::sort(list.begin() + begin, list.end(),
              [](const Neighbor& a, const Neighbor& b) {
                return a.document < b.document;
              });
  }
  list.resize(k_);
  return list;
}

}  // namespace lory::corpus
