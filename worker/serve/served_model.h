#ifndef LORY_WORKER_SERVE_SERVED_MODEL_H_
#define LORY_WORKER_SERVE_SERVED_MODEL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/model_shape.h"
#include "common/data/checkpoint_manifest.h"
#include "common/io/file_marks.h"
#include "worker/checkpoint/checkpoint_reader.h"
#include "worker/model/parameter_store.h"
#include "worker/model/router.h"
#include "worker/ops/rotary.h"

namespace lory::serve {

// A feed-forward as a dense model has it: experts merged, one of them as it
// lies in its file, or the only one. Immutable.
struct FeedForwardWeights {
  at::Tensor gate_FD;
  at::Tensor up_FD;
  at::Tensor down_DF;
};
using SharedWeights = std::shared_ptr<const FeedForwardWeights>;

// Weights of a layer's experts, one for each that lies in the files, or their
// shares.
using Routing = std::vector<float>;

// How a model is served whose experts have slots (Soft MoE).
enum class SlotFilling {
  kRefuse,  // not at all: the model as it was trained reads no text by tokens
  kPrompt,  // the prompt's tokens fill them; those after it fill none
};

// A checkpoint as lory-server holds it: what all tokens share is in memory,
// experts stay in the mapped files and are read while they are merged, or while
// a token goes through them. So the process needs memory for a dense model,
// however many experts there are.
//
// Immutable; thread-safe. Merge throws c10::Error when out of memory, which
// worker/train/torch_guard.h turns into a status.
class ServedModel {
 public:
  struct Layer {
    at::Tensor attention_norm_D;
    at::Tensor query;   // [H K, D]
    at::Tensor key;     // [G K, D]
    at::Tensor value;   // [G K, D]
    at::Tensor output;  // [D, H K]
    at::Tensor feed_forward_norm_D;
    SharedWeights dense;  // null with experts
  };

  // Reads a folder `step-N.gen-G` and compares every part with its manifest.
  //
  // NOT_FOUND: no such folder. INVALID_ARGUMENT: it is no checkpoint; says what
  // it is instead. DATA_LOSS: a part is missing or altered.
  // FAILED_PRECONDITION: its experts have slots, and nobody said what fills
  // them. RESOURCE_EXHAUSTED: memory.
  static absl::StatusOr<std::unique_ptr<ServedModel>> Open(
      const std::string& folder, SlotFilling slots = SlotFilling::kRefuse);

  // Of the checkpoint; of a dense phase: the dense model's.
  const lory::config::ModelShape& shape() const { return shape_; }
  const lory::data::CheckpointManifest& manifest() const { return manifest_; }
  bool has_experts() const { return !routers_.empty(); }
  // Whether they are merged into one; otherwise tokens go through each.
  bool merges() const { return has_experts() && routers_.front()->merges(); }

  // Whether tokens go through slots, which a prompt fills.
  bool has_slots() const {
    return has_experts() && routers_.front()->has_slots();
  }

  const Layer& layer(int64_t index) const { return layers_[index]; }
  const at::Tensor& embedding_VD() const { return embedding_VD_; }
  const at::Tensor& norm_D() const { return norm_D_; }
  const at::Tensor& head_VD() const { return head_VD_; }
  const lory::ops::RotaryTable& rotary() const { return rotary_; }

  // For models with experts: what decides, and each as it lies in its file.
  const lory::model::Router& router(int64_t layer) const {
    return *routers_[layer];
  }
  const FeedForwardWeights& expert(int64_t layer, int64_t index) const {
    return experts_[layer][index];
  }

  // The layer's experts under these weights: summed in double, rounded once.
  // Reads each expert once. For models that merge.
  SharedWeights Merge(int64_t layer, std::span<const float> routing) const;

  // Whether what lies in files is still what was opened: ask before, as a file
  // that was cut ends the process, and after, before the weights are used.
  //
  // DATA_LOSS: a part was written to. Dense models are in memory: always OK.
  absl::Status CheckFiles() const;

  // Memory of the merged weights of one layer.
  int64_t LayerBytes() const;

  // What experts cost a request in one layer beside passing memory: LayerBytes
  // where they are merged, the outputs of all slots where there are any.
  int64_t KeptBytes() const;

 private:
  ServedModel() = default;

  absl::Status Load(SlotFilling slots);
  absl::StatusOr<at::Tensor> Read(const std::string& name) const;
  // One matrix of each expert, as it lies in its file.
  absl::StatusOr<std::vector<at::Tensor>> MapExperts(
      const std::string& name) const;
  absl::StatusOr<lory::config::ParameterShape> ShapeOf(
      const std::string& name) const;
  absl::Status LoadLayer(int64_t index);
  absl::Status LoadExperts(const std::string& prefix);
  absl::Status MakeRouters(SlotFilling slots);

  lory::data::CheckpointManifest manifest_;
  lory::config::ModelShape shape_;
  lory::io::FileMarks files_;
  std::unique_ptr<lory::checkpoint::CheckpointReader> reader_;
  at::Tensor embedding_VD_;
  at::Tensor norm_D_;
  at::Tensor head_VD_;
  lory::ops::RotaryTable rotary_;
  std::vector<Layer> layers_;
  // Empty for a dense model.
  std::vector<std::vector<FeedForwardWeights>> experts_;
  std::unique_ptr<lory::model::ParameterStore> routing_;
  std::vector<std::unique_ptr<lory::model::Router>> routers_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_SERVED_MODEL_H_
