#ifndef LORY_WORKER_MODEL_PARAMETER_STORE_H_
#define LORY_WORKER_MODEL_PARAMETER_STORE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/config/model_shape.h"

namespace lory::model {

// One trainable tensor. Copying it copies the handle, not the numbers.
struct Parameter {
  std::string name;    // as in Hugging Face's LLaMA
  at::Tensor value;    // leaf that requires a gradient
  bool decays = true;  // under weight decay
  int64_t offset = 0;  // of its first number in the flat buffers
};

// Tensors by name, as checkpoints see them: views, so that loading in place
// changes the state itself.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// The parameters of a model. All values are views of one flat buffer and all
// gradients views of another, in the order of ParameterShapes, so that an
// all-reduce, a broadcast, a norm or an optimizer step is one operation on one
// tensor. Each parameter starts at a multiple of kAlignment numbers; the gaps
// are zero and stay zero, in both buffers.
//
// Owned by its model. Thread-compatible. Change values only under a
// NoGradGuard, and never between a forward pass and its backward pass.
class ParameterStore {
 public:
  static constexpr int64_t kAlignment = 16;

  // All values and gradients zero, of `type`: fp32, but in tests that
  // differentiate by differences. Throws c10::Error when out of memory.
  explicit ParameterStore(std::span<const lory::config::ParameterShape> shapes,
                          at::ScalarType type = at::kFloat);

  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  // In the fixed order of construction.
  std::span<const Parameter> parameters() const { return parameters_; }

  // Null when there is none of that name.
  const Parameter* Find(absl::string_view name) const;

  // The value of a parameter that must exist.
  const at::Tensor& Get(absl::string_view name) const;

  // The flat buffers: one dimension, equal length. Handles to the
  // storage; they do not require a gradient.
  const at::Tensor& flat_values() const { return flat_values_; }
  const at::Tensor& flat_gradients() const { return flat_gradients_; }

  // A parameter's part of any buffer laid out like these, in its shape.
  static at::Tensor ViewOf(const at::Tensor& flat, const Parameter& parameter);

  // Sets every gradient to zero and hangs the views back on the parameters,
  // should a caller have replaced them. Before each step.
  void ZeroGradients();

  // "param/<name>" for each parameter, in order.
  NamedTensors NamedValues() const;

 private:
  std::vector<Parameter> parameters_;
  absl::flat_hash_map<std::string, size_t> index_by_name_;
  at::Tensor flat_values_;
  at::Tensor flat_gradients_;
};

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_PARAMETER_STORE_H_
