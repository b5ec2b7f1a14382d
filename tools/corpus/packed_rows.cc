#include "tools/corpus/packed_rows.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "tools/corpus/cosine.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

constexpr int64_t kPackGrain = 512;          // rows; a multiple of any height
constexpr int64_t kBlockBytes = 256 * 1024;  // half of a second cache
constexpr int64_t kMostBlockRows = 512;
// Of what floats lose in scaling and in what the answer is rounded to.
constexpr double kFloatSlack = 2e-6;
constexpr float kNever = std::numeric_limits<float>::infinity();

}  // namespace

MeasuredRows::MeasuredRows(const RowSet& rows, Metric metric)
    : rows_(rows), metric_(metric), rounded_(rows.count()) {
  ParallelFor(count(), kPackGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      rounded_[i] = MeasureRow(rows_.Row(i), rows_.dimensions());
    }
  });
  for (int64_t i = 0; i < count(); ++i) {
    RoundedRow& row = rounded_[i];
    (row.length == 0 ? zeros_ : with_length_)
        .push_back(static_cast<int32_t>(i));
    const auto divisor = static_cast<float>(DivisorOf(i));
    row.scale /= divisor;
    row.lost /= divisor;
    longest_ = std::max(longest_, double{row.length} / divisor);
    most_lost_ = std::max(most_lost_, double{row.lost});
  }
}

double MeasuredRows::DivisorOf(int64_t i) const {
  return metric_ == Metric::kCosine ? CosineDivisor(rounded_[i].length) : 1;
}

std::vector<float> MeasuredRows::ErrorsAgainst(
    const MeasuredRows& others, std::span<const int32_t> numbers) const {
  std::vector<float> errors;
  errors.reserve(numbers.size());
  for (const int32_t number : numbers) {
    const double lost = rounded_[number].lost;
    const double length = rounded_[number].length / DivisorOf(number);
    // <x + e, y + f> - <x, y>, where e and f are what rounding gave.
    const double error = lost * others.longest_ +
                         (length + lost) * others.most_lost_ +
                         kFloatSlack * length * others.longest_;
    errors.push_back(static_cast<float>(error * 1.001));
  }
  return errors;
}

PackedRows::PackedRows(std::span<const int32_t> numbers, int32_t dimensions,
                       int height)
    : height_(height),
      pairs_(PairsOf(dimensions)),
      numbers_(numbers.begin(), numbers.end()) {
  values_.resize(stacks() * pairs_ * 2 * height_);
  scales_.resize(stacks() * height_);
}

PackedRows::PackedRows(const MeasuredRows& rows,
                       std::span<const int32_t> numbers, int height)
    : PackedRows(numbers, rows.rows().dimensions(), height) {
  Fill(rows, 0, count());
}

PackedRows PackedRows::InParallel(const MeasuredRows& rows,
                                  std::span<const int32_t> numbers,
                                  int height) {
  PackedRows packed(numbers, rows.rows().dimensions(), height);
  ParallelFor(packed.count(), kPackGrain, [&](int64_t begin, int64_t end) {
    packed.Fill(rows, begin, end);
  });
  return packed;
}

void PackedRows::Fill(const MeasuredRows& rows, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int32_t number = numbers_[i];
    scales_[i] = rows[number].scale;
    PackRow(rows.rows().Row(number), rows.rows().dimensions(), rows[number],
            static_cast<int>(i % height_), height_,
            values_.data() + i / height_ * pairs_ * 2 * height_);
  }
}

int64_t BlockRows(int32_t dimensions) {
  const int64_t rows = kBlockBytes / (PairsOf(dimensions) * 4);
  return std::clamp<int64_t>(rows / kPanelRows * kPanelRows, kPanelRows,
                             kMostBlockRows);
}

PanelScan::PanelScan(const PackedRows& queries, const ScanTarget& target)
    : queries_(queries),
      target_(target),
      products_(queries.stacks() * kGroupRows * kPanelRows),
      row_floors_(queries.stacks() * kGroupRows, kNever),
      masks_(queries.stacks() * kGroupRows) {}

void PanelScan::Scan(const PackedRows& members, int64_t panel, bool back) {
  const int64_t first = panel * kPanelRows;
  Products(queries_.Stack(0), queries_.stacks(), members.Stack(panel),
           queries_.pairs(), products_.data());
  for (int64_t i = 0; i < queries_.count(); ++i) {
    row_floors_[i] = target_.lists->FloorOf(queries_.numbers()[i]);
  }
  for (int i = 0; i < kPanelRows; ++i) {
    column_floors_[i] =
        back && first + i < members.count()
            ? target_.lists->FloorOf(members.numbers()[first + i])
            : kNever;
  }
  FindPassing({.products = products_.data(),
               .rows = static_cast<int64_t>(masks_.size()),
               .row_scales = queries_.scales(),
               .row_floors = row_floors_.data(),
               .column_scales = members.scales() + first,
               .column_floors = column_floors_},
              masks_.data());
  for (int64_t i = 0; i < queries_.count(); ++i) {
    if (masks_[i] != 0) OfferRow(i, members, first, back);
  }
}

void PanelScan::OfferRow(int64_t row, const PackedRows& members,
                         int64_t first_member, bool back) {
  const int32_t query = queries_.numbers()[row];
  for (uint32_t mask = masks_[row]; mask != 0; mask &= mask - 1) {
    const int column = std::countr_zero(mask);
    if (first_member + column >= members.count()) break;
    const int32_t member = members.numbers()[first_member + column];
    if (target_.same_rows && member == query) continue;
    const float about = ScaledProduct(products_[row * kPanelRows + column],
                                      members.scales()[first_member + column],
                                      queries_.scales()[row]);
    if (about >= row_floors_[row]) target_.lists->Offer(query, member, about);
    if (back && about >= column_floors_[column] &&
        target_.offers_back(query, member)) {
      target_.lists->Offer(member, query, about);
    }
  }
}

}  // namespace lory::corpus
