#include "worker/model/initialize.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <numbers>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/random.h"

namespace lory::model {
namespace {

using ::lory::config::Initialisation;
using ::lory::config::ModelShape;
using ::lory::config::ParameterShape;

// Pairs of numbers a thread takes at a time.
constexpr int64_t kDrawGrain = 8192;

// Uniform in (0, 1]: number `counter` of stream `stream`.
double Uniform(uint64_t stream, uint64_t counter) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;  // as in SplitMix64
  return static_cast<double>((Mix64(stream + counter * kGolden) >> 11) + 1) *
         0x1.0p-53;
}

// Normal numbers by Box and Muller's transform (Ann. Math. Stat. 29, 1958).
// LibTorch's generator is not used: its numbers depend on the vector unit, and
// number i on all before it.
void FillNormal(uint64_t stream, double stddev, int64_t count, float* numbers) {
  at::parallel_for(
      0, (count + 1) / 2, kDrawGrain, [&](int64_t begin, int64_t end) {
        for (int64_t pair = begin; pair < end; ++pair) {
          const double radius =
              stddev * std::sqrt(-2 * std::log(Uniform(stream, 2 * pair)));
          const double angle =
              2 * std::numbers::pi * Uniform(stream, 2 * pair + 1);
          numbers[2 * pair] = static_cast<float>(radius * std::cos(angle));
          if (2 * pair + 1 < count) {
            numbers[2 * pair + 1] =
                static_cast<float>(radius * std::sin(angle));
          }
        }
      });
}

void Fill(uint64_t seed, const ParameterShape& parameter,
          ParameterStore& store) {
  const Parameter* target = store.Find(parameter.name);
  LORY_CHECK(target != nullptr);
  at::Tensor numbers = ParameterStore::ViewOf(store.flat_values(), *target);
  const uint64_t stream =
      Mix64(FastHash64(parameter.name.data(), parameter.name.size(), seed));
  switch (parameter.initialisation) {
    case Initialisation::kNormal:
      FillNormal(stream, parameter.scale, numbers.numel(),
                 numbers.mutable_data_ptr<float>());
      return;
    case Initialisation::kConstant:
      numbers.fill_(parameter.scale);
      return;
  }
}

}  // namespace

void InitializeParameters(const ModelShape& shape, uint64_t seed,
                          ParameterStore& store) {
  for (const ParameterShape& parameter : ParameterShapes(shape)) {
    Fill(seed, parameter, store);
  }
}

void InitializeParameter(const ModelShape& shape, uint64_t seed,
                         absl::string_view name, ParameterStore& store) {
  for (const ParameterShape& parameter : ParameterShapes(shape)) {
    if (parameter.name == name) return Fill(seed, parameter, store);
  }
  LORY_CHECK(false);
}

}  // namespace lory::model
