#include "worker/ops/merged_feed_forward.h"

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "worker/ops/merged_feed_forward_kernel.h"

namespace lory::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

MergedSizes SizesOf(const at::Tensor& hidden_BLD, const at::Tensor& routing_BNE,
                    const at::Tensor& gate_EFD) {
  const int64_t segments = routing_BNE.size(0) * routing_BNE.size(1);
  return {segments, hidden_BLD.size(0) * hidden_BLD.size(1) / segments,
          gate_EFD.size(2), gate_EFD.size(1), gate_EFD.size(0)};
}

template <typename T>
MergedInputs<T> Pointers(const at::Tensor& hidden, const at::Tensor& routing,
                         const at::Tensor& gate, const at::Tensor& up,
                         const at::Tensor& down) {
  return {hidden.const_data_ptr<T>(), routing.const_data_ptr<T>(),
          gate.const_data_ptr<T>(), up.const_data_ptr<T>(),
          down.const_data_ptr<T>()};
}

// Whether the gradient of a leaf is there to be added to. One that is frozen
// may have one, too, and keeps it as it is.
bool HasGradient(const at::Tensor& leaf) {
  return leaf.is_leaf() && leaf.requires_grad() && leaf.grad().defined() &&
         leaf.grad().is_contiguous() &&
         leaf.grad().scalar_type() == leaf.scalar_type();
}

class MergedFunction : public torch::autograd::Function<MergedFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& routing, const at::Tensor& gate,
                            const at::Tensor& up, const at::Tensor& down) {
    const MergedSizes sizes = SizesOf(hidden, routing, gate);
    at::Tensor out = at::empty_like(hidden);
    at::Tensor gate_panels;
    at::Tensor up_panels;
    AT_DISPATCH_FLOATING_TYPES(
        hidden.scalar_type(), "merged_feed_forward", [&] {
          const int64_t inner = sizes.TokenPanelSize<scalar_t>(sizes.F);
          gate_panels = at::empty({inner}, hidden.options());
          up_panels = at::empty({inner}, hidden.options());
          MergedForward<scalar_t>(
              sizes, Pointers<scalar_t>(hidden, routing, gate, up, down),
              {gate_panels.mutable_data_ptr<scalar_t>(),
               up_panels.mutable_data_ptr<scalar_t>(),
               out.mutable_data_ptr<scalar_t>()});
        });
    context->save_for_backward(
        {hidden, routing, gate, up, down, gate_panels, up_panels});
    return out;
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient_out = gradients[0].contiguous();
    const bool accumulate =
        std::all_of(saved.begin() + 2, saved.begin() + 5, HasGradient);
    variable_list results;
    for (int i = 0; i < 5; ++i) {
      results.push_back(accumulate && i >= 2 ? saved[i].grad()
                                             : at::empty_like(saved[i]));
    }
    const MergedSizes sizes = SizesOf(saved[0], saved[1], saved[2]);
    AT_DISPATCH_FLOATING_TYPES(
        saved[0].scalar_type(), "merged_feed_forward_backward", [&] {
          MergedBackward<scalar_t>(
              sizes,
              {Pointers<scalar_t>(saved[0], saved[1], saved[2], saved[3],
                                  saved[4]),
               saved[5].const_data_ptr<scalar_t>(),
               saved[6].const_data_ptr<scalar_t>(),
               gradient_out.const_data_ptr<scalar_t>()},
              {results[0].mutable_data_ptr<scalar_t>(),
               results[1].mutable_data_ptr<scalar_t>(),
               results[2].mutable_data_ptr<scalar_t>(),
               results[3].mutable_data_ptr<scalar_t>(),
               results[4].mutable_data_ptr<scalar_t>(), accumulate});
        });
    // What is there already, nobody else need add.
    if (accumulate) std::fill(results.begin() + 2, results.end(), at::Tensor());
    return results;
  }
};

void CheckShapes(const at::Tensor& hidden_BLD, const at::Tensor& routing_BNE,
                 const at::Tensor& gate_EFD, const at::Tensor& up_EFD,
                 const at::Tensor& down_EDF) {
  TORCH_CHECK(hidden_BLD.dim() == 3 && routing_BNE.dim() == 3 &&
                  gate_EFD.dim() == 3 && down_EDF.dim() == 3,
              "every argument has three dimensions");
  TORCH_CHECK(hidden_BLD.size(0) == routing_BNE.size(0) &&
                  hidden_BLD.size(1) % routing_BNE.size(1) == 0,
              "hidden ", hidden_BLD.sizes(), " has no whole segments for ",
              "routing ", routing_BNE.sizes());
  const int64_t E = gate_EFD.size(0), F = gate_EFD.size(1),
                D = gate_EFD.size(2);
  TORCH_CHECK(hidden_BLD.size(2) == D && routing_BNE.size(2) == E &&
                  up_EFD.sizes() == gate_EFD.sizes() &&
                  down_EDF.sizes() == at::IntArrayRef({E, D, F}),
              "experts ", gate_EFD.sizes(), ", ", up_EFD.sizes(), ", ",
              down_EDF.sizes(), " do not fit hidden ", hidden_BLD.sizes(),
              " and routing ", routing_BNE.sizes());
}

}  // namespace

at::Tensor MergedFeedForwardReference(const at::Tensor& hidden_BLD,
                                      const at::Tensor& routing_BNE,
                                      const at::Tensor& gate_EFD,
                                      const at::Tensor& up_EFD,
                                      const at::Tensor& down_EDF) {
  CheckShapes(hidden_BLD, routing_BNE, gate_EFD, up_EFD, down_EDF);
  const at::Tensor routing_SE = routing_BNE.flatten(0, 1);
  const auto merge = [&](const at::Tensor& experts) {
    return at::matmul(routing_SE, experts.flatten(1))
        .unflatten(1, {experts.size(1), experts.size(2)});
  };
  const int64_t S = routing_SE.size(0);
  const at::Tensor hidden_STD = hidden_BLD.reshape({S, -1, hidden_BLD.size(2)});
  const at::Tensor gate_STF =
      at::matmul(hidden_STD, merge(gate_EFD).transpose(1, 2));
  const at::Tensor up_STF =
      at::matmul(hidden_STD, merge(up_EFD).transpose(1, 2));
  const at::Tensor inner_STF = at::silu(gate_STF) * up_STF;
  return at::matmul(inner_STF, merge(down_EDF).transpose(1, 2))
      .reshape(hidden_BLD.sizes());
}

at::Tensor MergedFeedForward(const at::Tensor& hidden_BLD,
                             const at::Tensor& routing_BNE,
                             const at::Tensor& gate_EFD,
                             const at::Tensor& up_EFD,
                             const at::Tensor& down_EDF) {
  if (!hidden_BLD.is_cpu()) {
    return MergedFeedForwardReference(hidden_BLD, routing_BNE, gate_EFD, up_EFD,
                                      down_EDF);
  }
  CheckShapes(hidden_BLD, routing_BNE, gate_EFD, up_EFD, down_EDF);
  return MergedFunction::apply(hidden_BLD.contiguous(),
                               routing_BNE.contiguous(), gate_EFD.contiguous(),
                               up_EFD.contiguous(), down_EDF.contiguous());
}

}  // namespace lory::ops
