#include "worker/model/balance_loss.h"

#include <ATen/ops/tensor.h>

#include "gtest/gtest.h"

namespace lory::model {
namespace {

using TokenChoice = ::lory::v1::TokenChoiceFeedForward;

RouterLoad Load(std::vector<double> chosen, std::vector<double> probability) {
  return {at::tensor(chosen, at::kDouble), at::tensor(probability, at::kDouble),
          at::tensor({chosen[0]}, at::kDouble)[0]};
}

double Value(TokenChoice::Balance balance, int64_t top_k,
             std::span<const RouterLoad> layers) {
  return BalanceLoss(balance, top_k, layers).item<double>();
}

TEST(BalanceLoss, BalancedLayersGiveTopKTopKAndOne) {
  // Four experts, two for each token.
  const std::vector<RouterLoad> layers(
      3, Load({0.5, 0.5, 0.5, 0.5}, {0.25, 0.25, 0.25, 0.25}));
  EXPECT_DOUBLE_EQ(Value(TokenChoice::SWITCH, 2, layers), 3 * 2);
  EXPECT_DOUBLE_EQ(Value(TokenChoice::MEGATRON, 2, layers), 3);
  EXPECT_DOUBLE_EQ(Value(TokenChoice::HF_MIXTRAL, 2, layers), 2);
}

TEST(BalanceLoss, AllLayersTogetherMayBalanceWhatEachDoesNot) {
  const std::vector<RouterLoad> layers = {Load({1, 0}, {0.75, 0.25}),
                                          Load({0, 1}, {0.25, 0.75})};
  EXPECT_DOUBLE_EQ(Value(TokenChoice::SWITCH, 1, layers), 2 * (0.75 + 0.75));
  EXPECT_DOUBLE_EQ(Value(TokenChoice::HF_MIXTRAL, 1, layers),
                   2 * (0.5 * 0.5 + 0.5 * 0.5));
}

TEST(ZLoss, IsTheSumOverLayers) {
  const std::vector<RouterLoad> layers = {Load({1.5}, {1}), Load({2}, {1})};
  EXPECT_DOUBLE_EQ(ZLoss(layers).item<double>(), 3.5);
}

}  // namespace
}  // namespace lory::model
