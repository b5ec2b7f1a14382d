#include "tools/model/hugging_face_export.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/isfinite.h>

#include <iterator>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/feed_forward_shape.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "tools/model/hugging_face_config.h"
#include "tools/model/hugging_face_tensors.h"
#include "tools/model/output_folder.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

using ::lory::config::FeedForwardKind;
using ::lory::io::DType;
using ::lory::io::TensorToWrite;
using ::lory::model::Transformer;

// A number format in which weights are written.
struct WeightType {
  DType dtype;
  at::ScalarType type;
  const char* torch_name;
};
constexpr WeightType kWeightTypes[] = {
    {DType::kF32, at::kFloat, "float32"},
    {DType::kBf16, at::kBFloat16, "bfloat16"},
    {DType::kF16, at::kHalf, "float16"},
};

const WeightType& TypeOf(DType dtype) {
  for (const WeightType& type : kWeightTypes) {
    if (type.dtype == dtype) return type;
  }
  return kWeightTypes[0];
}

// Tensors of one file, in one number format.
class Weights {
 public:
  explicit Weights(const WeightType& type) : type_(type) {}

  void Add(std::string name, const at::Tensor& value) {
    // What is in that format already is no copy.
    values_.push_back(value.to(type_.type).contiguous());
    if (type_.type != value.scalar_type()) {
      const at::Tensor& rounded = values_.back();
      overflow_count_ += CountOf(
          at::isfinite(value).logical_and(at::isfinite(rounded).logical_not()));
      underflow_count_ += CountOf((value != 0).logical_and(rounded == 0));
    }
    tensors_.push_back({.info = {.name = std::move(name),
                                 .dtype = type_.dtype,
                                 .shape = value.sizes().vec()},
                        .data = values_.back().const_data_ptr()});
  }

  const std::vector<TensorToWrite>& tensors() const { return tensors_; }
  // Finite numbers that the format has no finite number for.
  int64_t overflow_count() const { return overflow_count_; }
  // Numbers that are too small for the format and became zero.
  int64_t underflow_count() const { return underflow_count_; }

 private:
  static int64_t CountOf(const at::Tensor& which) {
    return which.sum().item<int64_t>();
  }

  const WeightType& type_;
  int64_t overflow_count_ = 0;
  int64_t underflow_count_ = 0;
  std::vector<at::Tensor> values_;
  std::vector<TensorToWrite> tensors_;
};

constexpr char kWeightsFile[] = "model.safetensors";

// Returns how many numbers became zero.
absl::StatusOr<int64_t> WriteWeights(const Transformer& model,
                                     const WeightType& type,
                                     const std::string& path) {
  Weights weights(type);
  LORY_RETURN_IF_ERROR(lory::train::GuardTorch("rounding the weights", [&] {
    for (const auto& parameter : model.parameters().parameters()) {
      for (auto& [name, value] : HuggingFaceTensors(parameter)) {
        weights.Add(std::move(name), value);
      }
    }
  }));
  if (weights.overflow_count() > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        weights.overflow_count(), " numbers are too large for ",
        type.torch_name, "; give --dtype ",
        type.dtype == DType::kF16 ? "bf16, which has fp32's range" : "fp32"));
  }
  // Without the format transformers refuses the file.
  LORY_RETURN_IF_ERROR(lory::io::WriteSafetensors(lory::io::LocalStorage(),
                                                  path, weights.tensors(),
                                                  {{"format", "pt"}})
                           .status());
  return weights.underflow_count();
}

// Whether `folder` is what ExportHuggingFace wrote.
absl::Status CheckEarlierExport(const std::string& folder) {
  const absl::StatusOr<std::string> text =
      lory::io::LocalStorage().Read(absl::StrCat(folder, "/", kConfigFile));
  if (!text.ok() || !HasOrigin(*text)) {
    return absl::FailedPreconditionError(
        absl::StrCat("it has no ", kConfigFile, " of lory-model"));
  }
  std::set<std::string> names = {kConfigFile, kWeightsFile, kGenerationFile,
                                 kTokenizerFile,
                                 lory::text::kSentencePieceFile};
  names.insert(std::begin(lory::text::kBeside), std::end(lory::text::kBeside));
  return OnlyFiles(folder, names);
}

}  // namespace

absl::Status CheckExportable(const Transformer& model) {
  const lory::config::ModelShape& shape = model.shape();
  switch (shape.feed_forward) {
    case FeedForwardKind::kDense:
      return absl::OkStatus();
    case FeedForwardKind::kLory:
      return absl::InvalidArgumentError(
          "a Lory model is a LlamaForCausalLM only once it is dense; merge its "
          "experts first");
    case FeedForwardKind::kTokenChoice:
      if (shape.feed_forward_spec.token_choice().weights() ==
          lory::v1::TokenChoiceFeedForward::RENORMALISED) {
        return absl::OkStatus();
      }
      return absl::InvalidArgumentError(
          "MixtralForCausalLM renormalises the weights of a token's experts, "
          "and this model was trained with weights: probability; only "
          "token_choice with weights: renormalised can be exported");
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "no model of Hugging Face's computes what the feed-forward ",
          lory::config::VariantName(shape),
          " does; dense and token_choice models can be exported, and lory ones "
          "under a fixed routing"));
  }
}

absl::StatusOr<ExportResult> ExportHuggingFace(const Transformer& model,
                                               const ExportOptions& options) {
  LORY_RETURN_IF_ERROR(CheckExportable(model));
  const lory::config::ModelShape& shape = model.shape();
  const WeightType& type = TypeOf(options.dtype);
  const TokenizerFile* tokenizer = options.tokenizer;
  const GenerationNotes notes = Completed(options.notes, tokenizer);
  LORY_ASSIGN_OR_RETURN(
      const std::unique_ptr<OutputFolder> output,
      OutputFolder::Begin(options.folder, {.check_earlier = CheckEarlierExport,
                                           .force = options.force}));
  const auto write = [&](const char* name, const std::string& text) {
    return lory::io::LocalStorage().Write(
        absl::StrCat(output->path(), "/", name), text);
  };
  ExportResult result;
  LORY_ASSIGN_OR_RETURN(
      result.underflow_count,
      WriteWeights(model, type,
                   absl::StrCat(output->path(), "/", kWeightsFile)));
  LORY_RETURN_IF_ERROR(write(
      kConfigFile, HuggingFaceConfigJson(
                       shape, {.token_ids = notes.token_ids,
                               .dtype = type.torch_name,
                               .origin = options.origin,
                               .tokenizer_sha256 = options.tokenizer_sha256})));
  LORY_RETURN_IF_ERROR(write(kGenerationFile, notes.generation + "\n"));
  if (tokenizer != nullptr) {
    const TokenizerFolder folder =
        MakeTokenizerFolder(*tokenizer, shape.sequence_length);
    for (const auto& [name, text] : folder.files) {
      LORY_RETURN_IF_ERROR(write(name.c_str(), text));
    }
    result.tokenizer_difference = folder.difference;
  }
  LORY_RETURN_IF_ERROR(output->Commit());
  return result;
}

}  // namespace lory::surgery
