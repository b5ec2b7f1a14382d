#ifndef LORY_TESTS_UNIT_WORKER_MODEL_VARIANT_FIXTURE_H_
#define LORY_TESTS_UNIT_WORKER_MODEL_VARIANT_FIXTURE_H_

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/config/model_shape.h"
#include "gtest/gtest.h"
#include "tests/support/finite_difference.h"
#include "worker/model/feed_forward.h"
#include "worker/model/parameter_store.h"

namespace lory::model {

inline constexpr Pass kTrainingPass = {.training = true, .noise_seed = 5};
inline constexpr Pass kInferencePass = {};

// One thread for as long as it lives: these tensors are too small to share.
struct SingleThread {
  SingleThread() { at::set_num_threads(1); }
  ~SingleThread() { at::set_num_threads(before); }
  const int before = at::get_num_threads();
};

// The feed-forward of one layer in fp64, with random parameters and a random
// input of two sequences: what every variant is proven on.
struct Variant {
  static constexpr int64_t kSequences = 2;
  static constexpr int64_t kTokens = 12;
  static constexpr int64_t kWidth = 8;

  explicit Variant(const lory::v1::FeedForwardSpec& feed_forward,
                   uint64_t seed = 7) {
    at::manual_seed(seed);
    lory::v1::ModelSpec spec;
    spec.set_vocabulary_size(2);
    spec.set_layer_count(1);
    spec.set_width(kWidth);
    spec.set_head_count(2);
    spec.set_feed_forward_width(5);
    spec.set_sequence_length(kTokens);
    *spec.mutable_feed_forward() = feed_forward;
    const auto resolved = lory::config::ResolveModelShape(spec);
    LORY_CHECK(resolved.ok());
    shape = *resolved;
    store =
        std::make_unique<ParameterStore>(ParameterShapes(shape), at::kDouble);
    at::NoGradGuard no_grad;
    for (const Parameter& parameter : store->parameters()) {
      parameter.value.copy_(at::randn(parameter.value.sizes(), at::kDouble));
    }
    layer = MakeFeedForward(shape, *store, 0);
    hidden_BLD = at::randn({kSequences, kTokens, kWidth}, at::kDouble)
                     .set_requires_grad(true);
  }

  // A tensor of the feed-forward, such as config::kRouter.
  at::Tensor Get(absl::string_view name) const {
    return store->Get(absl::StrCat(lory::config::LayerPrefix(0), name));
  }

  // Makes all experts the first.
  void MakeExpertsEqual() const {
    at::NoGradGuard no_grad;
    for (const auto name : {lory::config::kExpertGate, lory::config::kExpertUp,
                            lory::config::kExpertDown}) {
      Get(name).copy_(Get(name)[0].clone());
    }
  }

  at::Tensor Out(const Pass& pass) const {
    return layer->Forward(hidden_BLD, pass).out_BLD;
  }

  // What expert `expert` alone makes of any rows: plain arithmetic.
  at::Tensor Expert(int64_t expert, const at::Tensor& rows) const {
    const auto matrix = [&](absl::string_view name) {
      return Get(name)[expert];
    };
    return at::linear(
        at::silu(at::linear(rows, matrix(lory::config::kExpertGate))) *
            at::linear(rows, matrix(lory::config::kExpertUp)),
        matrix(lory::config::kExpertDown));
  }

  // Weighted sum of the output, of positions from `first` on, and whatever the
  // router adds to the loss.
  at::Tensor Loss(const at::Tensor& weights_BLD, int64_t first,
                  const Pass& pass) const {
    const FeedForwardResult result = layer->Forward(hidden_BLD, pass);
    at::Tensor loss =
        (result.out_BLD * weights_BLD).narrow(1, first, kTokens - first).sum();
    const at::Tensor auxiliary = layer->AuxiliaryLoss({&result.load, 1});
    return auxiliary.defined() ? loss + auxiliary : loss;
  }

  // Compares the gradients of Loss with central differences, relative to the
  // largest number of each: experts always, the router and the input unless
  // `first` says that part of their gradient is cut.
  void ExpectGradientsMatchDifferences(const Pass& pass,
                                       int64_t first = 0) const {
    const at::Tensor weights_BLD = at::randn(hidden_BLD.sizes(), at::kDouble);
    std::vector<std::pair<std::string, at::Tensor>> leaves = {
        {"input", hidden_BLD}};
    for (const Parameter& parameter : store->parameters()) {
      if (absl::StrContains(parameter.name, ".mlp.")) {
        leaves.emplace_back(parameter.name, parameter.value);
      }
    }
    for (auto& [name, leaf] : leaves) leaf.mutable_grad() = at::Tensor();
    Loss(weights_BLD, first, pass).backward();
    for (const auto& [name, leaf] : leaves) {
      ASSERT_TRUE(leaf.grad().defined()) << name;
      const at::Tensor numeric = lory::testing::FiniteDifference(
          [&] { return Loss(weights_BLD, first, pass); }, leaf.detach());
      const double size = numeric.abs().max().item<double>();
      const double difference =
          (leaf.grad() - numeric).abs().max().item<double>();
      // Of less than a tenth, differences of a loss of some tens have not seven
      // digits; such a gradient is compared to 1e-8.
      EXPECT_LE(difference, 1e-7 * std::max(size, 0.1)) << name;
    }
  }

  // Which of all positions move when token `position` of sequence 0 changes.
  at::Tensor Moved(int64_t position, const Pass& pass) const {
    at::NoGradGuard no_grad;
    const at::Tensor before = Out(pass);
    at::Tensor changed_BLD = hidden_BLD.detach().clone();
    changed_BLD[0][position] += at::randn({kWidth}, at::kDouble);
    return (layer->Forward(changed_BLD, pass).out_BLD - before).abs().amax(-1) >
           1e-12;
  }

  // The first position of sequence 0 that moves, and that nothing of sequence 1
  // does.
  int64_t FirstMoved(int64_t position, const Pass& pass) const {
    const at::Tensor moved_BL = Moved(position, pass);
    EXPECT_FALSE(moved_BL[1].any().item<bool>());
    for (int64_t i = 0; i < kTokens; ++i) {
      if (moved_BL[0][i].item<bool>()) return i;
    }
    return kTokens;
  }

  SingleThread single_thread;
  lory::config::ModelShape shape;
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<FeedForward> layer;
  at::Tensor hidden_BLD;
};

}  // namespace lory::model

#endif  // LORY_TESTS_UNIT_WORKER_MODEL_VARIANT_FIXTURE_H_
