#include "worker/serve/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace lory::serve {
namespace {

// All ids but those that are barred.
std::vector<int64_t> Allowed(size_t size, const std::vector<bool>& barred) {
  std::vector<int64_t> ids(size);
  std::iota(ids.begin(), ids.end(), 0);
  if (!barred.empty()) {
    std::erase_if(ids, [&](int64_t id) { return barred[id]; });
  }
  return ids;
}

// The `count` likeliest of `ids`, the likeliest first, the lower id of equals.
std::vector<int64_t> Likeliest(std::span<const float> logits, int64_t count,
                               std::vector<int64_t> ids) {
  const auto end =
      ids.begin() + std::min(count, static_cast<int64_t>(ids.size()));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  ids.erase(end, ids.end());
  return ids;
}

// log of the sum of the exponentiated logits.
double LogSum(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum);
}

}  // namespace

Sampler::Sampler(const Sampling& sampling)
    : sampling_(sampling), random_(sampling.seed) {}

int64_t Sampler::Choose(std::span<const float> logits,
                        const std::vector<bool>& barred) {
  for (const float logit : logits) {
    if (!std::isfinite(logit)) return -1;
  }
  const bool takes_all = sampling_.top_k == 0 && sampling_.top_p >= 1;
  std::vector<int64_t> ids = Allowed(logits.size(), barred);
  if (ids.empty()) return -1;
  const auto size = static_cast<int64_t>(ids.size());
  if (sampling_.temperature == 0) {
    return Likeliest(logits, 1, std::move(ids)).front();
  }
  if (!takes_all) {
    ids = Likeliest(logits, sampling_.top_k == 0 ? size : sampling_.top_k,
                    std::move(ids));
  }
  double most = logits[ids.front()];
  for (const int64_t id : ids) most = std::max<double>(most, logits[id]);
  std::vector<double> shares;
  for (const int64_t id : ids) {
    shares.push_back(std::exp((logits[id] - most) / sampling_.temperature));
  }
  double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!takes_all) {
    double sum = 0;
    size_t kept = 0;
    while (kept < shares.size() && sum < sampling_.top_p * total) {
      sum += shares[kept++];
    }
    shares.resize(std::max<size_t>(kept, 1));
    total = std::accumulate(shares.begin(), shares.end(), 0.0);
  }
  double left = random_.NextDouble() * total;
  for (size_t i = 0; i + 1 < shares.size(); ++i) {
    left -= shares[i];
    if (left < 0) return ids[i];
  }
  return ids[shares.size() - 1];
}

TokenScore ScoreToken(std::span<const float> logits, int64_t token,
                      int64_t top_count) {
  const double log_sum = LogSum(logits);
  TokenScore score{token, logits[token] - log_sum, {}};
  if (top_count > 0) {
    for (const int64_t id :
         Likeliest(logits, top_count, Allowed(logits.size(), {}))) {
      score.top.emplace_back(id, logits[id] - log_sum);
    }
  }
  return score;
}

}  // namespace lory::serve
