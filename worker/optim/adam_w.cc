#include "worker/optim/adam_w.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/model/upcycle.h"
#include "worker/ops/adam_kernel.h"

namespace lory::optim {
namespace {

using ::lory::config::OptimizerSettings;
using ::lory::model::NamedTensors;
using ::lory::model::Parameter;
using ::lory::model::ParameterStore;
using ::lory::ops::AdamArguments;

// Numbers a thread takes at a time.
constexpr int64_t kGrain = 65536;

}  // namespace

AdamW::AdamW(const lory::v1::OptimizerSpec& spec, const ParameterStore& store)
    : settings_(lory::config::ResolvedOptimizer(spec)) {
  at::NoGradGuard no_grad;
  first_moment_ = at::zeros_like(store.flat_values());
  second_moment_ = at::zeros_like(store.flat_values());
  step_count_ = at::zeros({1}, at::kLong);
  // A parameter's range reaches to the next one: the gap is zero throughout and
  // an update of zeros by zeros leaves it so.
  const int64_t size = store.flat_values().numel();
  for (const Parameter& parameter : store.parameters()) {
    if (ranges_.empty() || ranges_.back().decays != parameter.decays) {
      if (!ranges_.empty()) ranges_.back().end = parameter.offset;
      ranges_.push_back({parameter.offset, size, parameter.decays});
    }
  }
}

void AdamW::Step(ParameterStore& store, double learning_rate,
                 double gradient_scale) {
  at::NoGradGuard no_grad;
  const int64_t size = store.flat_values().numel();
  LORY_CHECK(size == first_moment_.numel());
  LORY_CHECK(std::isfinite(learning_rate) && std::isfinite(gradient_scale));
  const int64_t step = step_count() + 1;
  const auto t = static_cast<double>(step);
  const OptimizerSettings& s = settings_;
  AdamArguments<float> base = {};
  base.gradient_scale = static_cast<float>(gradient_scale);
  base.beta1 = static_cast<float>(s.beta1);
  base.beta2 = static_cast<float>(s.beta2);
  base.rate_m = static_cast<float>(learning_rate / (1 - std::pow(s.beta1, t)));
  base.scale_v = static_cast<float>(1 / std::sqrt(1 - std::pow(s.beta2, t)));
  base.epsilon = static_cast<float>(s.epsilon);

  float* const values = store.flat_values().mutable_data_ptr<float>();
  float* const first = first_moment_.mutable_data_ptr<float>();
  float* const second = second_moment_.mutable_data_ptr<float>();
  const float* const gradients = store.flat_gradients().const_data_ptr<float>();
  for (const Range& range : ranges_) {
    AdamArguments<float> update = base;
    update.keep = range.decays
                      ? static_cast<float>(1 - learning_rate * s.weight_decay)
                      : 1.0f;
    at::parallel_for(range.begin, range.end, kGrain,
                     [&](int64_t begin, int64_t end) {
                       AdamArguments<float> part = update;
                       part.count = end - begin;
                       part.values = values + begin;
                       part.first_moments = first + begin;
                       part.second_moments = second + begin;
                       part.gradients = gradients + begin;
                       lory::ops::AdamUpdate(part);
                     });
  }
  set_step_count(step);
}

int64_t AdamW::step_count() const {
  return *step_count_.const_data_ptr<int64_t>();
}

void AdamW::set_step_count(int64_t count) {
  *step_count_.mutable_data_ptr<int64_t>() = count;
}

NamedTensors AdamW::NamedState(const ParameterStore& store) const {
  at::NoGradGuard no_grad;
  LORY_CHECK(store.flat_values().numel() == first_moment_.numel());
  NamedTensors named;
  for (const Parameter& parameter : store.parameters()) {
    named.emplace_back(absl::StrCat("adam_m/", parameter.name),
                       ParameterStore::ViewOf(first_moment_, parameter));
  }
  for (const Parameter& parameter : store.parameters()) {
    named.emplace_back(absl::StrCat("adam_v/", parameter.name),
                       ParameterStore::ViewOf(second_moment_, parameter));
  }
  named.emplace_back("adam_step", step_count_);
  return named;
}

absl::Status UpcycleMoments(const ParameterStore& dense,
                            const AdamW& dense_optimizer,
                            const ParameterStore& lory, int64_t expert_count,
                            AdamW& lory_optimizer) {
  const double share = 1.0 / static_cast<double>(expert_count);
  LORY_RETURN_IF_ERROR(
      lory::model::UpcycleBuffer(dense, dense_optimizer.first_moment(), lory,
                                 share, lory_optimizer.first_moment()));
  LORY_RETURN_IF_ERROR(lory::model::UpcycleBuffer(
      dense, dense_optimizer.second_moment(), lory, share * share,
      lory_optimizer.second_moment()));
  lory_optimizer.set_step_count(dense_optimizer.step_count());
  return absl::OkStatus();
}

}  // namespace lory::optim
