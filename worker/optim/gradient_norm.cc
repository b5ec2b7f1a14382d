#include "worker/optim/gradient_norm.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/base/check.h"
#include "worker/ops/adam_kernel.h"

namespace lory::optim {

double GradientNorm(const at::Tensor& flat) {
  LORY_CHECK(flat.is_contiguous() && flat.scalar_type() == at::kFloat);
  constexpr int64_t kBlock = 65536;
  const int64_t size = flat.numel();
  const float* const numbers = flat.const_data_ptr<float>();
  std::vector<double> sums((size + kBlock - 1) / kBlock);
  at::parallel_for(
      0, static_cast<int64_t>(sums.size()), 1,
      [&](int64_t first, int64_t last) {
        for (int64_t block = first; block < last; ++block) {
          const int64_t begin = block * kBlock;
          lory::ops::SumOfSquares<float>(
              {std::min(kBlock, size - begin), numbers + begin, &sums[block]});
        }
      });
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

double ClipScale(double norm, double clip_norm) {
  LORY_CHECK(std::isfinite(norm));
  return clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1;
}

}  // namespace lory::optim
