#include "common/config/model_shape.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::config {
namespace {

using ::lory::v1::LoryFeedForward;
using ::lory::v1::ModelSpec;

absl::Status Invalid(absl::string_view path, absl::string_view field,
                     absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ".", field, ": ", what));
}

absl::Status CheckRange(absl::string_view path, absl::string_view field,
                        int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return Invalid(path, field,
                 absl::StrCat(value, " is not in ", low, "..", high));
}

absl::Status CheckMultiple(absl::string_view path, absl::string_view field,
                           int64_t value, absl::string_view of_field,
                           int64_t of) {
  if (value % of == 0) return absl::OkStatus();
  return Invalid(
      path, field,
      absl::StrCat(value, " is not a multiple of ", of_field, " (", of, ")"));
}

// `value`, or `fallback` where the field was left at 0.
double OrDefault(double value, double fallback) {
  return value == 0 ? fallback : value;
}

absl::Status CheckPositive(absl::string_view path, absl::string_view field,
                           double value) {
  if (std::isfinite(value) && value > 0) return absl::OkStatus();
  return Invalid(path, field, absl::StrCat(value, " is not a number above 0"));
}

absl::Status ResolveLory(const LoryFeedForward& spec, absl::string_view path,
                         ModelShape& shape) {
  LORY_RETURN_IF_ERROR(
      CheckRange(path, "expert_count", spec.expert_count(), 1, 256));
  LORY_RETURN_IF_ERROR(CheckRange(path, "segment_length", spec.segment_length(),
                                  1, shape.sequence_length));
  if (shape.sequence_length % spec.segment_length() != 0) {
    return Invalid(path, "segment_length",
                   absl::StrCat(spec.segment_length(),
                                " does not divide sequence_length (",
                                shape.sequence_length, ")"));
  }
  if (!LoryFeedForward::FirstSegment_IsValid(spec.first_segment())) {
    return Invalid(path, "first_segment",
                   absl::StrCat("unknown policy ", spec.first_segment()));
  }
  shape.feed_forward = FeedForwardKind::kLory;
  shape.expert_count = spec.expert_count();
  shape.segment_length = spec.segment_length();
  shape.first_segment =
      spec.first_segment() == LoryFeedForward::FIRST_SEGMENT_UNSPECIFIED
          ? LoryFeedForward::SELF_STOP_GRADIENT
          : spec.first_segment();
  shape.router_init_stddev = OrDefault(spec.router_init_stddev(), 0.02);
  LORY_RETURN_IF_ERROR(
      CheckPositive(path, "router_init_stddev", shape.router_init_stddev));
  // Written so that a NaN is refused too.
  if (!(spec.dense_fraction() < 1)) {
    return Invalid(path, "dense_fraction",
                   absl::StrCat(spec.dense_fraction(),
                                " leaves no step for the experts: below 1"));
  }
  shape.dense_fraction = std::max(0.0, OrDefault(spec.dense_fraction(), 0.05));
  return absl::OkStatus();
}

absl::Status ResolveHeads(const ModelSpec& spec, absl::string_view path,
                          ModelShape& shape) {
  LORY_RETURN_IF_ERROR(
      CheckRange(path, "head_count", spec.head_count(), 1, shape.width));
  shape.head_count = spec.head_count();
  LORY_RETURN_IF_ERROR(CheckMultiple(path, "width", shape.width, "head_count",
                                     shape.head_count));
  shape.head_width = shape.width / shape.head_count;
  if (shape.head_width % 2 != 0) {
    return Invalid(path, "head_count",
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

void AddLayer(const ModelShape& shape, const std::string& prefix,
              std::vector<ParameterShape>& parameters) {
  const int64_t D = shape.width;
  const int64_t F = shape.feed_forward_width;
  const int64_t E = shape.expert_count;
  const int64_t query = shape.head_count * shape.head_width;
  const int64_t key_value = shape.key_value_head_count * shape.head_width;
  const auto add = [&](absl::string_view name, std::vector<int64_t> sizes,
                       Initialisation how = Initialisation::kNormal) {
    const bool is_matrix = sizes.size() > 1;
    parameters.push_back(
        {absl::StrCat(prefix, name), std::move(sizes), how, is_matrix});
  };
  add(kAttentionNorm, {D}, Initialisation::kOnes);
  add(kQueryProjection, {query, D});
  add(kKeyProjection, {key_value, D});
  add(kValueProjection, {key_value, D});
  add(kOutputProjection, {D, query});
  add(kFeedForwardNorm, {D}, Initialisation::kOnes);
  if (shape.feed_forward == FeedForwardKind::kDense) {
    add(kGate, {F, D});
    add(kUp, {F, D});
    add(kDown, {D, F});
    return;
  }
  add(kExpertGate, {E, F, D});
  add(kExpertUp, {E, F, D});
  add(kExpertDown, {E, D, F});
  add(kRouter, {E, D}, Initialisation::kRouter);
  if (shape.first_segment == LoryFeedForward::LEARNED) {
    add(kFirstSegment, {E}, Initialisation::kZeros);
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
  LORY_RETURN_IF_ERROR(CheckRange(field_path, "vocabulary_size",
                                  spec.vocabulary_size(), 2, 1'000'000));
  LORY_RETURN_IF_ERROR(
      CheckRange(field_path, "layer_count", spec.layer_count(), 1, 512));
  LORY_RETURN_IF_ERROR(CheckRange(field_path, "width", spec.width(), 8, 65536));
  LORY_RETURN_IF_ERROR(CheckRange(field_path, "sequence_length",
                                  spec.sequence_length(), 1, 1 << 20));
  LORY_RETURN_IF_ERROR(CheckRange(field_path, "feed_forward_width",
                                  spec.feed_forward_width(), 0, 1 << 20));
  shape.vocabulary_size = spec.vocabulary_size();
  shape.layer_count = spec.layer_count();
  shape.width = spec.width();
  shape.sequence_length = spec.sequence_length();
  shape.feed_forward_width = spec.feed_forward_width() == 0
                                 ? LlamaFeedForwardWidth(shape.width)
                                 : spec.feed_forward_width();
  LORY_RETURN_IF_ERROR(ResolveHeads(spec, field_path, shape));
  LORY_RETURN_IF_ERROR(ResolveConstants(spec, field_path, shape));
  switch (spec.feed_forward().variant_case()) {
    case lory::v1::FeedForwardSpec::kDense:
      break;
    case lory::v1::FeedForwardSpec::kLory:
      LORY_RETURN_IF_ERROR(
          ResolveLory(spec.feed_forward().lory(),
                      absl::StrCat(field_path, ".feed_forward.lory"), shape));
      break;
    case lory::v1::FeedForwardSpec::VARIANT_NOT_SET:
      return Invalid(field_path, "feed_forward",
                     "no variant is set: choose dense or lory");
  }
  return shape;
}

absl::Status ValidateModelSpec(const ModelSpec& spec,
                               absl::string_view field_path) {
  return ResolveModelShape(spec, field_path).status();
}

ModelShape DensePhaseShape(const ModelShape& shape) {
  ModelShape dense = shape;
  dense.feed_forward = FeedForwardKind::kDense;
  dense.expert_count = 0;
  dense.segment_length = 0;
  dense.first_segment = LoryFeedForward::FIRST_SEGMENT_UNSPECIFIED;
  dense.router_init_stddev = 0;
  dense.dense_fraction = 0;
  return dense;
}

int64_t DenseStepCount(const ModelShape& shape, int64_t total_steps) {
  if (shape.feed_forward == FeedForwardKind::kDense) return 0;
  if (shape.dense_fraction <= 0) return 0;
  return std::max<int64_t>(
      1, std::llround(shape.dense_fraction * static_cast<double>(total_steps)));
}

std::string LayerPrefix(int64_t layer) {
  return absl::StrCat("model.layers.", layer, ".");
}

std::vector<ParameterShape> ParameterShapes(const ModelShape& shape) {
  std::vector<ParameterShape> parameters;
  const std::vector<int64_t> table = {shape.vocabulary_size, shape.width};
  parameters.push_back({std::string(kEmbeddingName), table});
  for (int64_t layer = 0; layer < shape.layer_count; ++layer) {
    AddLayer(shape, LayerPrefix(layer), parameters);
  }
  parameters.push_back({std::string(kFinalNormName),
                        {shape.width},
                        Initialisation::kOnes,
                        /*decays=*/false});
  parameters.push_back({std::string(kHeadName), table});
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
  return ParameterCount(DensePhaseShape(shape));
}

}  // namespace lory::config
