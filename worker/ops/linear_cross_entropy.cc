#include "worker/ops/linear_cross_entropy.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>

#include "worker/ops/softmax_kernel.h"

namespace lory::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Logits held at a time, in numbers: 16 MB of fp32, but at least so many rows
// that the matrix products stay efficient.
constexpr int64_t kChunkNumbers = int64_t{1} << 22;
constexpr int64_t kChunkRows = 128;

int64_t RowsOfChunk(int64_t vocabulary) {
  return std::max(kChunkRows, kChunkNumbers / vocabulary);
}

// LibTorch's number for a target that does not count.
constexpr int64_t kIgnored = -100;

// Turns logits into their gradient and fills losses_R; returns the sum of the
// losses, added row by row in double.
double LossInPlace(at::Tensor& logits_RV, const at::Tensor& targets_R,
                   at::Tensor& losses_R) {
  double sum = 0;
  const int64_t rows = logits_RV.size(0);
  const int64_t V = logits_RV.size(1);
  AT_DISPATCH_FLOATING_TYPES(logits_RV.scalar_type(), "cross_entropy", [&] {
    scalar_t* const losses = losses_R.mutable_data_ptr<scalar_t>();
    scalar_t* const data = logits_RV.mutable_data_ptr<scalar_t>();
    const int64_t* const targets = targets_R.const_data_ptr<int64_t>();
    at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
      SoftmaxLossRows<scalar_t>(
          {end - begin, V, data + begin * V, targets + begin, losses + begin});
    });
    sum = std::accumulate(losses, losses + rows, 0.0);
  });
  return sum;
}

struct LossAndGradients {
  double sum = 0;
  at::Tensor losses_R;
  at::Tensor to_hidden_RD;
  at::Tensor to_head_VD;
};

// The gradients only if asked for.
LossAndGradients Compute(const at::Tensor& hidden_RD, const at::Tensor& head_VD,
                         const at::Tensor& targets_R, bool with_gradients) {
  LossAndGradients result;
  if (with_gradients) {
    result.to_hidden_RD = at::empty_like(hidden_RD);
    result.to_head_VD = at::zeros_like(head_VD);
  }
  const int64_t rows = hidden_RD.size(0);
  result.losses_R = at::empty({rows}, hidden_RD.options());
  const int64_t chunk = std::min(rows, RowsOfChunk(head_VD.size(0)));
  const at::Tensor logits =
      at::empty({chunk, head_VD.size(0)}, hidden_RD.options());
  for (int64_t row = 0; row < rows; row += chunk) {
    const int64_t count = std::min(chunk, rows - row);
    const at::Tensor part_RD = hidden_RD.narrow(0, row, count);
    at::Tensor logits_RV = logits.narrow(0, 0, count);
    at::mm_out(logits_RV, part_RD, head_VD.t());
    at::Tensor losses_R = result.losses_R.narrow(0, row, count);
    result.sum +=
        LossInPlace(logits_RV, targets_R.narrow(0, row, count), losses_R);
    if (!with_gradients) continue;
    at::Tensor to_part_RD = result.to_hidden_RD.narrow(0, row, count);
    at::mm_out(to_part_RD, logits_RV, head_VD);
    result.to_head_VD.addmm_(logits_RV.t(), part_RD);
  }
  return result;
}

class LossFunction : public torch::autograd::Function<LossFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& head, const at::Tensor& targets,
                            bool with_gradients) {
    LossAndGradients result = Compute(hidden, head, targets, with_gradients);
    if (with_gradients) {
      context->save_for_backward({result.to_hidden_RD, result.to_head_VD});
    }
    return at::scalar_tensor(result.sum, hidden.options());
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& scale = gradients[0];
    return {saved[0] * scale, saved[1] * scale, at::Tensor(), at::Tensor()};
  }
};

// With p the softmax of the logits z and H its entropy:
// dH / dz_j = -p_j (ln p_j + H).
class EntropyFunction : public torch::autograd::Function<EntropyFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& head) {
    at::AutoDispatchBelowADInplaceOrView guard;
    const int64_t rows = hidden.size(0);
    const int64_t chunk = std::min(rows, RowsOfChunk(head.size(0)));
    at::Tensor to_hidden = at::empty_like(hidden);
    at::Tensor sum = at::zeros({}, hidden.options().dtype(at::kDouble));
    for (int64_t row = 0; row < rows; row += chunk) {
      const int64_t count = std::min(chunk, rows - row);
      const at::Tensor logs_RV = at::log_softmax(
          at::mm(hidden.narrow(0, row, count), head.t()), /*dim=*/-1);
      const at::Tensor shares_RV = logs_RV.exp();
      const at::Tensor entropy_R1 =
          -(shares_RV * logs_RV).sum(-1, /*keepdim=*/true);
      sum += entropy_R1.sum(at::kDouble);
      at::Tensor to_part = to_hidden.narrow(0, row, count);
      at::mm_out(to_part, -shares_RV * (logs_RV + entropy_R1), head);
    }
    context->save_for_backward({to_hidden});
    return sum.to(hidden.scalar_type());
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    return {context->get_saved_variables()[0] * gradients[0], at::Tensor()};
  }
};

void CheckRows(const at::Tensor& hidden_RD, const at::Tensor& head_VD,
               const at::Tensor& targets_R) {
  TORCH_CHECK(hidden_RD.dim() == 2 && head_VD.dim() == 2 &&
                  hidden_RD.size(1) == head_VD.size(1),
              "hidden ", hidden_RD.sizes(), " does not fit the head ",
              head_VD.sizes());
  TORCH_CHECK(targets_R.dim() == 1 && targets_R.size(0) == hidden_RD.size(0) &&
                  targets_R.scalar_type() == at::kLong,
              "one int64 target for each of ", hidden_RD.size(0), " rows");
  if (targets_R.numel() > 0) {
    TORCH_CHECK(targets_R.max().item<int64_t>() < head_VD.size(0),
                "a target is outside the vocabulary of ", head_VD.size(0));
  }
}

at::Tensor ReferenceLoss(const at::Tensor& hidden_RD, const at::Tensor& head_VD,
                         const at::Tensor& targets_R,
                         at::Reduction::Reduction as) {
  return at::cross_entropy_loss(at::mm(hidden_RD, head_VD.t()),
                                targets_R.masked_fill(targets_R < 0, kIgnored),
                                /*weight=*/{}, as, kIgnored);
}

}  // namespace

at::Tensor LinearCrossEntropyReference(const at::Tensor& hidden_RD,
                                       const at::Tensor& head_VD,
                                       const at::Tensor& targets_R) {
  return ReferenceLoss(hidden_RD, head_VD, targets_R, at::Reduction::Sum);
}

at::Tensor LinearCrossEntropyOfRows(const at::Tensor& hidden_RD,
                                    const at::Tensor& head_VD,
                                    const at::Tensor& targets_R) {
  at::NoGradGuard no_grad;
  CheckRows(hidden_RD, head_VD, targets_R);
  if (!hidden_RD.is_cpu()) {
    return ReferenceLoss(hidden_RD, head_VD, targets_R, at::Reduction::None);
  }
  return Compute(hidden_RD.contiguous(), head_VD.contiguous(),
                 targets_R.contiguous(), /*with_gradients=*/false)
      .losses_R;
}

at::Tensor LinearCrossEntropy(const at::Tensor& hidden_RD,
                              const at::Tensor& head_VD,
                              const at::Tensor& targets_R) {
  CheckRows(hidden_RD, head_VD, targets_R);
  if (!hidden_RD.is_cpu()) {
    return LinearCrossEntropyReference(hidden_RD, head_VD, targets_R);
  }
  const bool with_gradients =
      at::GradMode::is_enabled() &&
      (hidden_RD.requires_grad() || head_VD.requires_grad());
  return LossFunction::apply(hidden_RD.contiguous(), head_VD.contiguous(),
                             targets_R.contiguous(), with_gradients);
}

at::Tensor LinearEntropy(const at::Tensor& hidden_RD,
                         const at::Tensor& head_VD) {
  TORCH_CHECK(hidden_RD.dim() == 2 && head_VD.dim() == 2 &&
                  hidden_RD.size(1) == head_VD.size(1),
              "hidden ", hidden_RD.sizes(), " does not fit the head ",
              head_VD.sizes());
  return EntropyFunction::apply(hidden_RD.contiguous(), head_VD.contiguous());
}

}  // namespace lory::ops
