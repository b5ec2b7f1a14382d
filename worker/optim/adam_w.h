#ifndef LORY_WORKER_OPTIM_ADAM_W_H_
#define LORY_WORKER_OPTIM_ADAM_W_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/config/optimizer_defaults.h"
#include "lory/v1/model.pb.h"
#include "worker/model/parameter_store.h"

namespace lory::optim {

// AdamW (Loshchilov and Hutter, ICLR 2019): Adam with bias correction by step
// count and with weight decay applied to the weights, not to the gradient, and
// only to parameters that decay. Moments are two flat fp32 buffers laid out
// like the store's.
//
// Owned by the trainer. Thread-compatible. Results do not depend on the number
// of threads.
class AdamW {
 public:
  // Moments zero, no step taken. `spec` must be valid
  // (config::ValidateOptimizerSpec). Throws c10::Error when out of memory.
  AdamW(const lory::v1::OptimizerSpec& spec,
        const lory::model::ParameterStore& store);

  // One update of `store`, laid out as at construction, from its gradients
  // times `gradient_scale` (1 / tokens, times the clip scale). The gradients
  // stay as they are. All or nothing: it fails, by LORY_CHECK, only before the
  // first number is changed.
  void Step(lory::model::ParameterStore& store, double learning_rate,
            double gradient_scale);

  // Updates so far.
  int64_t step_count() const;
  void set_step_count(int64_t count);

  // Flat moments, for the digest of the state and for a broadcast.
  const at::Tensor& first_moment() const { return first_moment_; }
  const at::Tensor& second_moment() const { return second_moment_; }

  const lory::config::OptimizerSettings& settings() const { return settings_; }

  // "adam_m/<name>" and "adam_v/<name>" for each parameter and "adam_step", an
  // int64 of one element: views, so that loading in place is loading.
  lory::model::NamedTensors NamedState(
      const lory::model::ParameterStore& store) const;

 private:
  // A run of parameters, and of the gaps between them, with one rule of decay.
  struct Range {
    int64_t begin = 0;
    int64_t end = 0;
    bool decays = false;
  };

  lory::config::OptimizerSettings settings_;
  std::vector<Range> ranges_;
  at::Tensor first_moment_;
  at::Tensor second_moment_;
  at::Tensor step_count_;  // a tensor, so that it is saved like the others
};

// Optimizer state of an upcycled model (model::UpcycleToExperts). Under uniform
// routing an expert's gradient is 1/E of the dense one, so its first moment is
// copied scaled by 1/E and its second by 1/E^2: the next update is then the
// dense one's. Routers start from zero; the rest and the step count are copied.
//
// INVALID_ARGUMENT: a parameter of `lory` has no counterpart in `dense`.
absl::Status UpcycleMoments(const lory::model::ParameterStore& dense,
                            const AdamW& dense_optimizer,
                            const lory::model::ParameterStore& lory,
                            int64_t expert_count, AdamW& lory_optimizer);

}  // namespace lory::optim

#endif  // LORY_WORKER_OPTIM_ADAM_W_H_
