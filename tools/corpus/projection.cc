#include "tools/corpus/projection.h"

#include <algorithm>
#include <cmath>

#include "common/base/random.h"

namespace lory::corpus {
namespace {

constexpr int kRounds = 60;  // of power iteration

using Vector = std::vector<double>;

double Dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Without the part along `unit`.
void Reject(const Vector& unit, Vector* vector) {
  const double along = Dot(unit, *vector);
  for (size_t i = 0; i < unit.size(); ++i) (*vector)[i] -= along * unit[i];
}

void Normalize(Vector* vector) {
  const double length = std::sqrt(Dot(*vector, *vector));
  for (double& value : *vector) value = length > 0 ? value / length : 0;
}

// Rows without their mean, read as they are.
struct Rows {
  int64_t count;
  const std::function<const float*(int64_t)>& row_of;
  Vector mean;

  double Along(int64_t row, const Vector& direction) const {
    const float* values = row_of(row);
    double sum = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      sum += (values[i] - mean[i]) * direction[i];
    }
    return sum;
  }
};

// The direction of largest variance at right angles to `others`.
Vector Component(const Rows& rows, const std::vector<Vector>& others) {
  Random random(1);
  Vector direction(rows.mean.size());
  for (double& value : direction) value = random.NextDouble() - 0.5;
  for (int round = 0; round < kRounds; ++round) {
    Vector next(direction.size());
    for (int64_t i = 0; i < rows.count; ++i) {
      const double along = rows.Along(i, direction);
      const float* values = rows.row_of(i);
      for (size_t j = 0; j < next.size(); ++j) {
        next[j] += along * (values[j] - rows.mean[j]);
      }
    }
    for (const Vector& other : others) Reject(other, &next);
    Normalize(&next);
    direction = std::move(next);
  }
  const auto largest = std::max_element(
      direction.begin(), direction.end(),
      [](double a, double b) { return std::abs(a) < std::abs(b); });
  if (largest != direction.end() && *largest < 0) {
    for (double& value : direction) value = -value;
  }
  return direction;
}

}  // namespace

std::vector<Point> ProjectToPlane(
    int64_t count, int32_t dimensions,
    const std::function<const float*(int64_t)>& row_of) {
  Rows rows = {count, row_of, Vector(dimensions)};
  for (int64_t i = 0; i < count; ++i) {
    for (int32_t j = 0; j < dimensions; ++j) {
      rows.mean[j] += row_of(i)[j] / static_cast<double>(count);
    }
  }
  const Vector x = Component(rows, {});
  const Vector y = Component(rows, {x});
  std::vector<Point> points;
  for (int64_t i = 0; i < count; ++i) {
    points.push_back({rows.Along(i, x), rows.Along(i, y)});
  }
  return points;
}

}  // namespace lory::corpus
