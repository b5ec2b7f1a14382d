#include "tools/model/eval/routing_meter.h"

#include <ATen/ops/rand.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "tools/model/eval/token_table.h"

namespace lory::eval {
namespace {

using ::lory::model::LorySpec;
using ::lory::v1::LoryFeedForward;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr int64_t kExperts = 4;

lory::config::ModelShape Shape(LoryFeedForward::FirstSegment policy) {
  return *lory::config::ResolveModelShape(LorySpec(policy));
}

// Decisions, one after the other.
at::Tensor RowsFrom(const std::vector<float>& numbers) {
  return at::tensor(numbers).view({-1, kExperts});
}

using Rows = std::vector<std::vector<double>>;  // one a decision

Rows RowsOf(const at::Tensor& routing_RE) {
  Rows rows;
  for (int64_t i = 0; i < routing_RE.size(0); ++i) {
    rows.emplace_back();
    for (int64_t e = 0; e < routing_RE.size(1); ++e) {
      rows.back().push_back(routing_RE[i][e].item<double>());
    }
  }
  return rows;
}

size_t Largest(const std::vector<double>& row) {
  return static_cast<size_t>(std::max_element(row.begin(), row.end()) -
                             row.begin());
}

double Cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(RoutingMeter, MeasuresNeighboursOfOneSequenceAsALoopDoes) {
  at::manual_seed(5);
  for (const auto policy :
       {LoryFeedForward::SELF_STOP_GRADIENT, LoryFeedForward::UNIFORM}) {
    // The paper's first segment has the routing of the second: no neighbour.
    const int64_t first = policy == LoryFeedForward::SELF_STOP_GRADIENT ? 1 : 0;
    RoutingMeter meter(Shape(policy), 0);
    double cosine = 0, agreement = 0;
    int64_t count = 0;
    for (int batch = 0; batch < 3; ++batch) {
      const int64_t sequences = 2 + batch;
      constexpr int64_t kDecisions = 6;
      const at::Tensor routing =
          at::softmax(at::rand({sequences * kDecisions, kExperts}) * 4, -1);
      meter.Record({routing, routing}, sequences);
      const Rows rows = RowsOf(routing);
      for (int64_t b = 0; b < sequences; ++b) {
        for (int64_t n = first; n + 1 < kDecisions; ++n) {
          const auto& one = rows[b * kDecisions + n];
          const auto& next = rows[b * kDecisions + n + 1];
          cosine += Cosine(one, next);
          agreement += Largest(one) == Largest(next) ? 1 : 0;
          ++count;
        }
      }
    }
    const std::vector<RoutingFigures> figures = meter.Figures();
    ASSERT_THAT(figures, SizeIs(2));
    EXPECT_EQ(figures[1].neighbor_count, count);
    const double n = static_cast<double>(count);
    EXPECT_NEAR(figures[1].neighbor_cosine, cosine / n, 1e-6);
    EXPECT_NEAR(figures[1].neighbor_agreement, agreement / n, 1e-12);
  }
}

TEST(RoutingMeter, CountsActiveExpertsInWindowsOfDecisions) {
  RoutingMeter meter(Shape(LoryFeedForward::UNIFORM), 2);
  // Active is what has more than a half.
  const at::Tensor none = RowsFrom({0.5, 0.2, 0.2, 0.1});
  const at::Tensor zero = RowsFrom({0.6, 0.2, 0.1, 0.1});
  const at::Tensor three = RowsFrom({0.1, 0.1, 0.1, 0.7});
  // Windows (zero, three), (none, none), (none, zero); one decision is left.
  for (const auto& row : {zero, three, none, none, none, zero, three}) {
    meter.Record({row, row}, 1);
  }
  const RoutingFigures figures = meter.Figures()[0];
  EXPECT_EQ(figures.window_count, 3);
  EXPECT_NEAR(figures.active_share_in_window, (2.0 + 0 + 1) / 4 / 3, 1e-9);
  EXPECT_NEAR(figures.active_share, 0.5, 1e-9);
  EXPECT_EQ(figures.decision_count, 7);
  EXPECT_NEAR(figures.mean_weights[3], (0.7 * 2 + 0.1 * 5) / 7, 1e-6);
  EXPECT_EQ(figures.neighbor_count, 0);  // sequences of one decision
}

TEST(RoutingMeter, AddsUp) {
  at::manual_seed(6);
  const auto shape = Shape(LoryFeedForward::UNIFORM);
  RoutingMeter whole(shape, 4), one(shape, 4), other(shape, 4);
  for (RoutingMeter* part : {&one, &other}) {
    const at::Tensor routing = at::softmax(at::rand({8, kExperts}) * 6, -1);
    part->Record({routing, routing}, 2);
    whole.Record({routing, routing}, 2);
  }
  one.Add(other);
  const RoutingFigures sum = one.Figures()[1], all = whole.Figures()[1];
  EXPECT_EQ(sum.mean_weights, all.mean_weights);
  EXPECT_EQ(sum.window_count, all.window_count);
  EXPECT_DOUBLE_EQ(sum.active_share_in_window, all.active_share_in_window);
  EXPECT_DOUBLE_EQ(sum.neighbor_cosine, all.neighbor_cosine);
  EXPECT_DOUBLE_EQ(sum.entropy, all.entropy);
}

TEST(TokenTable, FindsTheTokensThatMarkAnExpert) {
  TokenTable table(Shape(LoryFeedForward::UNIFORM));
  // Token 7 goes to expert 0, 8 half to it, 9 mostly elsewhere.
  const at::Tensor tokens =
      at::tensor(std::vector<int64_t>{7, 8, 7, 9, 9, 8}).view({1, 6});
  const at::Tensor routing =
      RowsFrom({1, 0, 0, 0, 0.5, 0.5, 0,   0, 1,   0,   0, 0,  //
                0, 0, 1, 0, 0.1, 0,   0.9, 0, 0.5, 0.5, 0, 0});
  table.Record({routing, routing}, tokens);
  const std::vector<TokenShare> top = table.Top(0, 0, 5);
  ASSERT_THAT(top, SizeIs(1));  // 8 has less than the expert's share of all
  EXPECT_EQ(top[0].token, 7);
  EXPECT_EQ(top[0].count, 2);
  EXPECT_NEAR(top[0].share, 1, 1e-6);
  EXPECT_NEAR(top[0].lift, 6 / 3.1, 1e-5);
  const std::vector<TokenShare> second = table.Top(1, 1, 5);
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].token, 8);
  EXPECT_THAT(table.Top(0, 3, 5), SizeIs(0));  // takes nothing
  EXPECT_THAT(table.Top(0, 0, 0), SizeIs(0));
}

}  // namespace
}  // namespace lory::eval
