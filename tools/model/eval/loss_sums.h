#ifndef LORY_TOOLS_MODEL_EVAL_LOSS_SUMS_H_
#define LORY_TOOLS_MODEL_EVAL_LOSS_SUMS_H_

#include <cstdint>

namespace lory::eval {

// Token losses of some windows of text, as sums that add up.
class LossSums {
 public:
  // Those of one window: `loss` nats over `tokens` tokens and `bytes` of text
  // (0: not known). A window without tokens counts nothing.
  void AddWindow(double loss, int64_t tokens, int64_t bytes);
  void Add(const LossSums& other);

  int64_t token_count() const { return tokens_; }
  int64_t window_count() const { return windows_; }

  // Nats a token; 0 without any.
  double Mean() const;
  // Of Mean, were the windows drawn at random: the tokens of one window are
  // not. 0 with less than two windows.
  double StandardError() const;
  double Perplexity() const;
  // 0 where the bytes are not known.
  double BitsPerByte() const;

 private:
  int64_t windows_ = 0;
  int64_t tokens_ = 0;
  int64_t bytes_ = 0;
  double loss_ = 0;
  // Over windows: of loss * loss, loss * tokens and tokens * tokens.
  double loss_loss_ = 0;
  double loss_tokens_ = 0;
  double tokens_tokens_ = 0;
};

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_LOSS_SUMS_H_
