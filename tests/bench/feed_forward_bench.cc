// Time and memory of a Lory feed-forward over those of the dense one, forward
// and backward, fp32, both our own, alternating in one process.
//
//   feed_forward_bench [width segment_length experts [tokens [rounds]]]
//
// Prints the median of each and the ratios of wall and of processor time; the
// second is the one to trust on a busy machine. Memory is the most that tensors
// take beside inputs, parameters and their gradients; merged_mb is what the
// merged weights of all segments would add, were they kept. OMP_NUM_THREADS
// sets the threads.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

#include "common/base/check.h"
#include "tests/support/tensor_memory.h"
#include "worker/device/cpu.h"
#include "worker/model/feed_forward.h"
#include "worker/model/initialize.h"

namespace lory::bench {
namespace {

using ::lory::config::ModelShape;

struct Options {
  int64_t width = 256;
  int64_t segment_length = 64;
  int64_t experts = 8;
  int64_t tokens = 4096;
  int rounds = 15;
};

// In milliseconds.
struct Times {
  double wall = 0;
  double processor = 0;  // of all threads
};

double ProcessorMilliseconds() {
  return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// One layer of one kind.
struct Layer {
  explicit Layer(const ModelShape& shape)
      : store(lory::config::ParameterShapes(shape)) {
    lory::model::InitializeParameters(shape, /*seed=*/1, store);
    feed_forward = lory::model::MakeFeedForward(shape, store, /*layer=*/0);
  }

  // One forward and backward pass.
  Times Time(const at::Tensor& hidden_BLD, const at::Tensor& gradient_BLD) {
    store.ZeroGradients();
    hidden_BLD.mutable_grad().reset();
    const double processor_start = ProcessorMilliseconds();
    const auto start = std::chrono::steady_clock::now();
    feed_forward->Forward(hidden_BLD, {.training = true})
        .out_BLD.backward(gradient_BLD);
    const std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - start;
    return {elapsed.count(), ProcessorMilliseconds() - processor_start};
  }

  // The most bytes of tensors that such a pass makes beside those there are.
  int64_t PeakBytes(const at::Tensor& hidden_BLD,
                    const at::Tensor& gradient_BLD) {
    const lory::testing::TensorMemory memory;
    feed_forward->Forward(hidden_BLD, {.training = true})
        .out_BLD.backward(gradient_BLD);
    return memory.peak();
  }

  lory::model::ParameterStore store;
  std::unique_ptr<lory::model::FeedForward> feed_forward;
};

double Median(std::vector<Times> times, double Times::*field) {
  const auto middle = times.begin() + static_cast<int64_t>(times.size() / 2);
  std::nth_element(
      times.begin(), middle, times.end(),
      [field](const Times& a, const Times& b) { return a.*field < b.*field; });
  return *middle.*field;
}

ModelShape Shape(const Options& options) {
  lory::v1::ModelSpec spec;
  spec.set_vocabulary_size(2);
  spec.set_layer_count(1);
  spec.set_width(static_cast<int32_t>(options.width));
  spec.set_head_count(1);
  spec.set_sequence_length(static_cast<int32_t>(options.tokens));
  auto* lory = spec.mutable_feed_forward()->mutable_lory();
  lory->set_expert_count(static_cast<int32_t>(options.experts));
  lory->set_segment_length(static_cast<int32_t>(options.segment_length));
  const auto shape = lory::config::ResolveModelShape(spec);
  LORY_CHECK(shape.ok());
  return *shape;
}

// Three matrices for each segment.
int64_t MergedBytes(const ModelShape& shape, const Options& options) {
  return options.tokens / options.segment_length * 3 * shape.width *
         shape.feed_forward_width * static_cast<int64_t>(sizeof(float));
}

void Run(const Options& options) {
  const ModelShape shape = Shape(options);
  Layer lory(shape);
  Layer dense(lory::config::DensePhaseShape(shape));
  at::manual_seed(1);
  const at::Tensor hidden_BLD =
      at::randn({1, options.tokens, options.width}).set_requires_grad(true);
  const at::Tensor gradient_BLD = at::randn(hidden_BLD.sizes());
  std::vector<Times> lory_times, dense_times;
  for (int round = -2; round < options.rounds; ++round) {
    const Times of_dense = dense.Time(hidden_BLD, gradient_BLD);
    const Times of_lory = lory.Time(hidden_BLD, gradient_BLD);
    if (round < 0) continue;  // warm-up
    dense_times.push_back(of_dense);
    lory_times.push_back(of_lory);
  }
  const double dense_ms = Median(dense_times, &Times::wall);
  const double lory_ms = Median(lory_times, &Times::wall);
  std::printf(
      "width=%ld segment=%ld experts=%ld tokens=%ld threads=%d dense_ms=%.1f "
      "lory_ms=%.1f ratio=%.3f processor_ratio=%.3f dense_mb=%.1f lory_mb=%.1f "
      "merged_mb=%.1f\n",
      options.width, options.segment_length, options.experts, options.tokens,
      at::get_num_threads(), dense_ms, lory_ms, lory_ms / dense_ms,
      Median(lory_times, &Times::processor) /
          Median(dense_times, &Times::processor),
      static_cast<double>(dense.PeakBytes(hidden_BLD, gradient_BLD)) / 1e6,
      static_cast<double>(lory.PeakBytes(hidden_BLD, gradient_BLD)) / 1e6,
      static_cast<double>(MergedBytes(shape, options)) / 1e6);
  std::fflush(stdout);
}

}  // namespace
}  // namespace lory::bench

int main(int argc, char** argv) {
  lory::device::SetUpCpu({.thread_count = at::get_num_threads()});
  lory::bench::Options options;
  int64_t* const fields[] = {&options.width, &options.segment_length,
                             &options.experts, &options.tokens};
  for (int i = 1; i < argc && i <= 4; ++i) *fields[i - 1] = std::atoll(argv[i]);
  if (argc > 5) options.rounds = std::atoi(argv[5]);
  if (argc > 1) {
    lory::bench::Run(options);
  } else {
    lory::bench::Run({256, 64, 8, 4096, options.rounds});
    lory::bench::Run({512, 256, 8, 4096, options.rounds});
  }
  return 0;
}
