#include "common/config/model_shape.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/feed_forward_shape.h"
#include "common/config/field_checks.h"

namespace lory::config {
namespace {

using ::lory::v1::ModelSpec;

absl::Status ResolveHeads(const ModelSpec& spec, absl::string_view path,
                          ModelShape& shape) {
  LORY_RETURN_IF_ERROR(
      CheckRange(path, "head_count", spec.head_count(), 1, shape.width));
  shape.head_count = spec.head_count();
  LORY_RETURN_IF_ERROR(CheckMultiple(path, "width", shape.width, "head_count",
                                     shape.head_count));
  shape.head_width = shape.width / shape.head_count;
  if (shape.head_width % 2 != 0) {
    return InvalidField(
        path, "head_count",
        absl::StrCat("heads of ", shape.head_width,
                     " cannot be rotated: width / head_count must "
                     "be even"));
  }
  shape.key_value_head_count = spec.key_value_head_count() == 0
                                   ? shape.head_count
                                   : spec.key_value_head_count();
  LORY_RETURN_IF_ERROR(CheckRange(path, "key_value_head_count",
                                  shape.key_value_head_count, 1,
                                  shape.head_count));
  return CheckMultiple(path, "head_count", shape.head_count,
                       "key_value_head_count", shape.key_value_head_count);
}

absl::Status ResolveConstants(const ModelSpec& spec, absl::string_view path,
                              ModelShape& shape) {
  shape.rotary_base = OrDefault(spec.rotary_base(), 10000);
  shape.norm_epsilon = OrDefault(spec.norm_epsilon(), 1e-5);
  shape.init_stddev = OrDefault(spec.init_stddev(), 0.02);
  LORY_RETURN_IF_ERROR(CheckPositive(path, "rotary_base", shape.rotary_base));
  LORY_RETURN_IF_ERROR(CheckPositive(path, "norm_epsilon", shape.norm_epsilon));
  return CheckPositive(path, "init_stddev", shape.init_stddev);
}

ParameterShape Matrix(const ModelShape& shape, std::string name, int64_t rows,
                      int64_t columns) {
  return {std::move(name),
          {rows, columns},
          Initialisation::kNormal,
          shape.init_stddev,
          /*decays=*/true};
}

ParameterShape Norm(const ModelShape& shape, std::string name) {
  return {std::move(name),
          {shape.width},
          Initialisation::kConstant,
          /*scale=*/1,
          /*decays=*/false};
}

void AddLayer(const ModelShape& shape, const std::string& prefix,
              std::vector<ParameterShape>& parameters) {
  const int64_t D = shape.width;
  const int64_t query = shape.head_count * shape.head_width;
  const int64_t key_value = shape.key_value_head_count * shape.head_width;
  const auto add_matrix = [&](absl::string_view name, int64_t rows,
                              int64_t columns) {
    parameters.push_back(
        Matrix(shape, absl::StrCat(prefix, name), rows, columns));
  };
  parameters.push_back(Norm(shape, absl::StrCat(prefix, kAttentionNorm)));
  add_matrix(kQueryProjection, query, D);
  add_matrix(kKeyProjection, key_value, D);
  add_matrix(kValueProjection, key_value, D);
  add_matrix(kOutputProjection, D, query);
  parameters.push_back(Norm(shape, absl::StrCat(prefix, kFeedForwardNorm)));
  for (ParameterShape parameter : shape.feed_forward_parameters) {
    parameter.name = absl::StrCat(prefix, parameter.name);
    parameters.push_back(std::move(parameter));
  }
}

}  // namespace

int64_t ParameterShape::element_count() const {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1},
                         std::multiplies<>());
}

int64_t LlamaFeedForwardWidth(int64_t width) {
  const int64_t multiple = width < 512 ? 32 : 256;
  const int64_t exact = (8 * width + 2) / 3;  // rounded up
  return (exact + multiple - 1) / multiple * multiple;
}

absl::StatusOr<ModelShape> ResolveModelShape(const ModelSpec& spec,
                                             absl::string_view field_path) {
  ModelShape shape;
  AllChecks sizes;
  const auto range = [&](absl::string_view field, int64_t value, int64_t low,
                         int64_t high) {
    sizes.Add(CheckRange(field_path, field, value, low, high));
  };
  range("vocabulary_size", spec.vocabulary_size(), 2, 1'000'000);
  range("layer_count", spec.layer_count(), 1, 512);
  range("width", spec.width(), 8, 65536);
  range("sequence_length", spec.sequence_length(), 1, 1 << 20);
  range("feed_forward_width", spec.feed_forward_width(), 0, 1 << 20);
  LORY_RETURN_IF_ERROR(sizes.ToStatus());
  shape.vocabulary_size = spec.vocabulary_size();
  shape.layer_count = spec.layer_count();
  shape.width = spec.width();
  shape.sequence_length = spec.sequence_length();
  shape.feed_forward_width = spec.feed_forward_width() == 0
                                 ? LlamaFeedForwardWidth(shape.width)
                                 : spec.feed_forward_width();
  AllChecks parts;
  parts.Add(ResolveHeads(spec, field_path, shape));
  parts.Add(ResolveConstants(spec, field_path, shape));
  parts.Add(ResolveFeedForward(
      spec.feed_forward(), absl::StrCat(field_path, ".feed_forward"), shape));
  LORY_RETURN_IF_ERROR(parts.ToStatus());
  return shape;
}

absl::Status ValidateModelSpec(const ModelSpec& spec,
                               absl::string_view field_path) {
  return ResolveModelShape(spec, field_path).status();
}

ModelShape DensePhaseShape(const ModelShape& shape) {
  ModelShape dense = shape;
  lory::v1::FeedForwardSpec spec;
  spec.mutable_dense();
  LORY_CHECK(ResolveFeedForward(spec, "feed_forward", dense).ok());
  return dense;
}

int64_t DenseStepCount(const ModelShape& shape, int64_t total_steps) {
  if (shape.dense_fraction <= 0) return 0;
  return std::max<int64_t>(
      1, std::llround(shape.dense_fraction * static_cast<double>(total_steps)));
}

int64_t LeakLength(const ModelShape& shape) {
  const lory::v1::FeedForwardSpec& spec = shape.feed_forward_spec;
  switch (shape.feed_forward) {
    case FeedForwardKind::kLory:
      return spec.lory().first_segment() ==
                     lory::v1::LoryFeedForward::SELF_STOP_GRADIENT
                 ? shape.segment_length
                 : 0;
    case FeedForwardKind::kPrefixRouting:
      return shape.segment_length;
    case FeedForwardKind::kExpertChoice:  // none with tokens
      return shape.segment_length;
    case FeedForwardKind::kSmear:
      return spec.smear().pool_length();
    case FeedForwardKind::kWeightEnsembling:
      return spec.weight_ensembling().pool_length();
    default:
      return 0;
  }
}

bool IsRoutingParameter(absl::string_view name) {
  return absl::StrContains(name, kRouterPrefix) ||
         absl::EndsWith(name, kFirstSegment);
}

std::string LayerPrefix(int64_t layer) {
  return absl::StrCat("model.layers.", layer, ".");
}

std::vector<ParameterShape> ParameterShapes(const ModelShape& shape) {
  std::vector<ParameterShape> parameters;
  const auto add_table = [&](absl::string_view name) {
    parameters.push_back(
        Matrix(shape, std::string(name), shape.vocabulary_size, shape.width));
  };
  add_table(kEmbeddingName);
  for (int64_t layer = 0; layer < shape.layer_count; ++layer) {
    AddLayer(shape, LayerPrefix(layer), parameters);
  }
  parameters.push_back(Norm(shape, std::string(kFinalNormName)));
  add_table(kHeadName);
  return parameters;
}

int64_t ParameterCount(const ModelShape& shape) {
  int64_t count = 0;
  for (const ParameterShape& parameter : ParameterShapes(shape)) {
    count += parameter.element_count();
  }
  return count;
}

int64_t ActiveParameterCount(const ModelShape& shape) {
  if (shape.merges_experts) return ParameterCount(DensePhaseShape(shape));
  // Three matrices an expert.
  const int64_t expert = 3 * shape.width * shape.feed_forward_width;
  return ParameterCount(shape) -
         shape.layer_count * expert *
             (shape.expert_count - shape.active_expert_count);
}

}  // namespace lory::config
