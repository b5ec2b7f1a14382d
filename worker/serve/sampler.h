#ifndef LORY_WORKER_SERVE_SAMPLER_H_
#define LORY_WORKER_SERVE_SAMPLER_H_

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/base/random.h"

namespace lory::serve {

// How the next token is drawn.
struct Sampling {
  double temperature = 0;  // 0: the likeliest, the first of equals
  double top_p = 1;        // of the likeliest, until they sum to this
  int64_t top_k = 0;       // of this many of the likeliest; 0: of all
  uint64_t seed = 0;
};

// Draws the tokens of one request. Its draws depend on its seed and the logits
// alone, not on what else is served. Thread-compatible.
class Sampler {
 public:
  explicit Sampler(const Sampling& sampling);

  // The next token, of those that are not `barred`, by id; empty: of all. -1
  // when the logits are no numbers, or all are barred.
  int64_t Choose(std::span<const float> logits,
                 const std::vector<bool>& barred = {});

 private:
  const Sampling sampling_;
  Random random_;
};

// What a token was worth.
struct TokenScore {
  int64_t token = 0;
  double log_probability = 0;
  // The likeliest tokens with theirs, the likeliest first.
  std::vector<std::pair<int64_t, double>> top;
};

// Of `token` after `logits`, with the `top_count` likeliest.
TokenScore ScoreToken(std::span<const float> logits, int64_t token,
                      int64_t top_count);

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_SAMPLER_H_
