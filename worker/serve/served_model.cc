#include "worker/serve/served_model.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/io/safetensors.h"
#include "worker/checkpoint/committed_folder.h"
#include "worker/train/torch_guard.h"

namespace lory::serve {
namespace {

using ::lory::config::FeedForwardKind;
using ::lory::config::ParameterShape;

// Numbers summed at a time: sums and one expert's share stay in the cache.
constexpr int64_t kBlock = 2048;

at::Tensor MergeMatrix(const std::vector<FeedForwardWeights>& experts,
                       at::Tensor FeedForwardWeights::*matrix,
                       std::span<const float> routing) {
  std::vector<const float*> numbers;
  for (const FeedForwardWeights& expert : experts) {
    numbers.push_back((expert.*matrix).const_data_ptr<float>());
  }
  at::Tensor merged = at::empty((experts[0].*matrix).sizes(), at::kFloat);
  float* const out = merged.mutable_data_ptr<float>();
  const int64_t count = merged.numel();
  at::parallel_for(0, (count + kBlock - 1) / kBlock, 8,
                   [&](int64_t begin, int64_t end) {
                     std::array<double, kBlock> sums;
                     for (int64_t block = begin; block < end; ++block) {
                       const int64_t first = block * kBlock;
                       const int64_t size = std::min(kBlock, count - first);
                       sums.fill(0);
                       for (size_t i = 0; i < numbers.size(); ++i) {
                         const double weight = routing[i];
                         const float* const expert = numbers[i] + first;
                         for (int64_t j = 0; j < size; ++j)
                           sums[j] += weight * expert[j];
                       }
                       for (int64_t j = 0; j < size; ++j) {
                         out[first + j] = static_cast<float>(sums[j]);
                       }
                     }
                   });
  return merged;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServedModel>> ServedModel::Open(
    const std::string& folder, SlotFilling slots) {
  auto model = absl::WrapUnique(new ServedModel);
  LORY_ASSIGN_OR_RETURN(model->manifest_,
                        lory::checkpoint::ReadCommittedFolder(folder));
  std::vector<std::string> parts;
  for (const auto& part : model->manifest_.checkpoint.parts()) {
    parts.push_back(
        absl::StrCat(model->manifest_.checkpoint.folder(), "/", part.file()));
  }
  model->files_ = lory::io::FileMarks::Of(parts);
  const absl::Status loaded =
      lory::train::GuardTorch("loading", [&] { return model->Load(slots); });
  if (!loaded.ok()) return lory::checkpoint::ExplainUnreadable(loaded, folder);
  return model;
}

absl::Status ServedModel::Load(SlotFilling slots) {
  LORY_ASSIGN_OR_RETURN(shape_, lory::config::ResolveModelShape(
                                    manifest_.spec.model(), "spec.model"));
  if (lory::checkpoint::IsOfDensePhase(manifest_, shape_)) {
    shape_ = lory::config::DensePhaseShape(shape_);
  }
  LORY_RETURN_IF_ERROR(MakeRouters(slots));
  LORY_ASSIGN_OR_RETURN(reader_, lory::checkpoint::CheckpointReader::Open(
                                     "", manifest_.checkpoint, [] {}));
  LORY_ASSIGN_OR_RETURN(embedding_VD_,
                        Read(std::string(lory::config::kEmbeddingName)));
  LORY_ASSIGN_OR_RETURN(norm_D_,
                        Read(std::string(lory::config::kFinalNormName)));
  LORY_ASSIGN_OR_RETURN(head_VD_, Read(std::string(lory::config::kHeadName)));
  rotary_ =
      lory::ops::MakeRotaryTable(shape_.sequence_length, shape_.head_width,
                                 shape_.rotary_base, at::kFloat);
  for (int64_t i = 0; i < shape_.layer_count; ++i) {
    LORY_RETURN_IF_ERROR(LoadLayer(i));
  }
  if (routing_ == nullptr) return absl::OkStatus();
  return reader_->Load(routing_->NamedValues());
}

// Before anything is read, as this may be refused. Their numbers come later.
absl::Status ServedModel::MakeRouters(SlotFilling slots) {
  if (shape_.feed_forward == FeedForwardKind::kDense) return absl::OkStatus();
  std::vector<ParameterShape> shapes;
  for (ParameterShape& parameter : lory::config::ParameterShapes(shape_)) {
    if (!lory::config::IsRoutingParameter(parameter.name)) continue;
    shapes.push_back(std::move(parameter));
  }
  routing_ = std::make_unique<lory::model::ParameterStore>(shapes);
  for (int64_t i = 0; i < shape_.layer_count; ++i) {
    auto router = lory::model::MakeRouter(shape_, *routing_, i);
    LORY_CHECK(router != nullptr);
    if (router->has_slots() && slots == SlotFilling::kRefuse) {
      return absl::FailedPreconditionError(absl::StrCat(
          "its feed-forward (", shape_.feed_forward_summary,
          ") lets every token see those after it, so that there is no text to "
          "make; `lory-server --soft-moe prompt` lets the prompt alone fill "
          "the slots, `lory-model eval` and `lory-model logits` read whole "
          "texts"));
    }
    routers_.push_back(std::move(router));
  }
  return absl::OkStatus();
}

absl::StatusOr<ParameterShape> ServedModel::ShapeOf(
    const std::string& name) const {
  for (ParameterShape& parameter : lory::config::ParameterShapes(shape_)) {
    if (parameter.name == name) return std::move(parameter);
  }
  return absl::InternalError(absl::StrCat("the model has no ", name));
}

absl::StatusOr<at::Tensor> ServedModel::Read(const std::string& name) const {
  LORY_ASSIGN_OR_RETURN(const ParameterShape shape, ShapeOf(name));
  at::Tensor tensor = at::empty(shape.sizes, at::kFloat);
  LORY_RETURN_IF_ERROR(reader_->Load({{absl::StrCat("param/", name), tensor}}));
  return tensor;
}

absl::StatusOr<std::vector<at::Tensor>> ServedModel::MapExperts(
    const std::string& name) const {
  LORY_ASSIGN_OR_RETURN(const ParameterShape shape, ShapeOf(name));
  LORY_ASSIGN_OR_RETURN(const auto views,
                        reader_->Map({.name = absl::StrCat("param/", name),
                                      .dtype = lory::io::DType::kF32,
                                      .shape = shape.sizes}));
  const at::IntArrayRef sizes = at::IntArrayRef(shape.sizes).slice(1);
  const int64_t size = shape.element_count() / shape.sizes[0];
  std::vector<at::Tensor> experts;
  for (const absl::string_view bytes : views) {
    // Our writer aligns what it writes; a file of others may not.
    if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(float) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          name,
          " is not aligned in its file; write the checkpoint anew with "
          "`lory-model merge --base CHECKPOINT --add CHECKPOINT "
          "--scale 0 --to FOLDER`"));
    }
    // LibTorch has no tensors of const memory; the mapping is read-only.
    auto* numbers =
        const_cast<float*>(reinterpret_cast<const float*>(bytes.data()));
    const auto count = static_cast<int64_t>(bytes.size() / sizeof(float));
    for (int64_t first = 0; first < count; first += size) {
      experts.push_back(at::from_blob(numbers + first, sizes, at::kFloat));
    }
  }
  return experts;
}

absl::Status ServedModel::LoadExperts(const std::string& prefix) {
  std::vector<FeedForwardWeights> experts;
  for (const auto& [name, matrix] :
       {std::pair(lory::config::kExpertGate, &FeedForwardWeights::gate_FD),
        std::pair(lory::config::kExpertUp, &FeedForwardWeights::up_FD),
        std::pair(lory::config::kExpertDown, &FeedForwardWeights::down_DF)}) {
    LORY_ASSIGN_OR_RETURN(std::vector<at::Tensor> all,
                          MapExperts(absl::StrCat(prefix, name)));
    experts.resize(all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      experts[i].*matrix = std::move(all[i]);
    }
  }
  experts_.push_back(std::move(experts));
  return absl::OkStatus();
}

absl::Status ServedModel::LoadLayer(int64_t index) {
  const std::string prefix = lory::config::LayerPrefix(index);
  Layer layer;
  for (const auto& [name, tensor] :
       {std::pair(lory::config::kAttentionNorm, &layer.attention_norm_D),
        std::pair(lory::config::kQueryProjection, &layer.query),
        std::pair(lory::config::kKeyProjection, &layer.key),
        std::pair(lory::config::kValueProjection, &layer.value),
        std::pair(lory::config::kOutputProjection, &layer.output),
        std::pair(lory::config::kFeedForwardNorm,
                  &layer.feed_forward_norm_D)}) {
    LORY_ASSIGN_OR_RETURN(*tensor, Read(absl::StrCat(prefix, name)));
  }
  if (shape_.feed_forward != FeedForwardKind::kDense) {
    LORY_RETURN_IF_ERROR(LoadExperts(prefix));
  } else {
    auto dense = std::make_shared<FeedForwardWeights>();
    for (const auto& [name, tensor] :
         {std::pair(lory::config::kGate, &dense->gate_FD),
          std::pair(lory::config::kUp, &dense->up_FD),
          std::pair(lory::config::kDown, &dense->down_DF)}) {
      LORY_ASSIGN_OR_RETURN(*tensor, Read(absl::StrCat(prefix, name)));
    }
    layer.dense = std::move(dense);
  }
  layers_.push_back(std::move(layer));
  return absl::OkStatus();
}

SharedWeights ServedModel::Merge(int64_t layer,
                                 std::span<const float> routing) const {
  const std::vector<FeedForwardWeights>& experts = experts_[layer];
  LORY_CHECK(merges() && routing.size() == experts.size());
  auto merged = std::make_shared<FeedForwardWeights>();
  for (const auto matrix :
       {&FeedForwardWeights::gate_FD, &FeedForwardWeights::up_FD,
        &FeedForwardWeights::down_DF}) {
    (*merged).*matrix = MergeMatrix(experts, matrix, routing);
  }
  return merged;
}

int64_t ServedModel::LayerBytes() const {
  return 3 * shape_.width * shape_.feed_forward_width *
         static_cast<int64_t>(sizeof(float));
}

int64_t ServedModel::KeptBytes() const {
  if (merges()) return LayerBytes();
  if (!has_slots()) return 0;
  return shape_.expert_count * shape_.width *
         shape_.feed_forward_spec.soft_moe().slots_per_expert() *
         static_cast<int64_t>(sizeof(float));
}

absl::Status ServedModel::CheckFiles() const {
  const std::string written = has_experts() ? files_.FindWritten() : "";
  if (written.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      written,
      " was written to while it is served, its experts can no longer be "
      "trusted; start lory-server again, and write other checkpoints to "
      "folders of their own"));
}

}  // namespace lory::serve
