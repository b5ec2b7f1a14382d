#include "tools/model/eval/loss_sums.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lory::eval {

void LossSums::AddWindow(double loss, int64_t tokens, int64_t bytes) {
  if (tokens == 0) return;
  const double count = static_cast<double>(tokens);
  ++windows_;
  tokens_ += tokens;
  bytes_ += bytes;
  loss_ += loss;
  loss_loss_ += loss * loss;
  loss_tokens_ += loss * count;
  tokens_tokens_ += count * count;
}

void LossSums::Add(const LossSums& other) {
  windows_ += other.windows_;
  tokens_ += other.tokens_;
  bytes_ += other.bytes_;
  loss_ += other.loss_;
  loss_loss_ += other.loss_loss_;
  loss_tokens_ += other.loss_tokens_;
  tokens_tokens_ += other.tokens_tokens_;
}

double LossSums::Mean() const {
  return tokens_ == 0 ? 0 : loss_ / static_cast<double>(tokens_);
}

// The mean is a ratio of two sums over windows, and its variance to first order
// that of the residuals loss - mean * tokens.
double LossSums::StandardError() const {
  if (windows_ < 2) return 0;
  const double mean = Mean();
  const double count = static_cast<double>(windows_);
  const double residuals =
      loss_loss_ - 2 * mean * loss_tokens_ + mean * mean * tokens_tokens_;
  return std::sqrt(std::max(0.0, residuals) * count / (count - 1)) /
         static_cast<double>(tokens_);
}

double LossSums::Perplexity() const { return std::exp(Mean()); }

double LossSums::BitsPerByte() const {
  if (bytes_ == 0) return 0;
  return loss_ / std::numbers::ln2 / static_cast<double>(bytes_);
}

}  // namespace lory::eval
