#include "tools/model/inspect.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/feed_forward_shape.h"
#include "tools/model/json_number.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

using ::lory::config::FeedForwardKind;
using ::lory::config::ModelShape;
using ::lory::model::ParameterStore;
using nlohmann::ordered_json;

// Rows of each expert that are widened to double at a time.
constexpr int64_t kChunkRows = 256;

TensorFigures FiguresOf(const lory::model::Parameter& parameter) {
  const at::Tensor& value = parameter.value;
  return {.name = parameter.name,
          .sizes = value.sizes().vec(),
          .norm = at::linalg_vector_norm(value, 2, {}, false, at::kDouble)
                      .item<double>(),
          .nonfinite_count =
              at::isfinite(value).logical_not().sum().item<int64_t>()};
}

// Adds inner products of a stack of experts [E, ...]: of the experts, and of
// what is left of them without their mean. Distances come from the latter,
// which lose nothing when experts are almost alike.
void AddProducts(const at::Tensor& experts, at::Tensor& norms_E,
                 at::Tensor& centred_EE) {
  for (int64_t row = 0; row < experts.size(1); row += kChunkRows) {
    const int64_t rows = std::min(kChunkRows, experts.size(1) - row);
    const at::Tensor chunk =
        experts.narrow(1, row, rows).to(at::kDouble).flatten(1);
    const at::Tensor centred = chunk - chunk.mean(0, /*keepdim=*/true);
    norms_E.add_(chunk.square().sum(1));
    centred_EE.add_(at::matmul(centred, centred.t()));
  }
}

// Of the last `expert_count` of the stacks: WEMoE's first is the base.
double ExpertDistance(const ParameterStore& store, const std::string& prefix,
                      int64_t expert_count) {
  at::Tensor norms_E = at::zeros({expert_count}, at::kDouble);
  at::Tensor centred_EE = at::zeros({expert_count, expert_count}, at::kDouble);
  for (const auto name : {lory::config::kExpertGate, lory::config::kExpertUp,
                          lory::config::kExpertDown}) {
    const at::Tensor all = store.Get(absl::StrCat(prefix, name));
    AddProducts(all.narrow(0, all.size(0) - expert_count, expert_count),
                norms_E, centred_EE);
  }
  if (expert_count < 2) return 0;
  const at::Tensor own = centred_EE.diagonal();
  const at::Tensor squares =
      (own.unsqueeze(0) + own.unsqueeze(1) - 2 * centred_EE).clamp_min(0);
  const double pairs = static_cast<double>(expert_count * (expert_count - 1));
  const double distance = squares.sqrt().sum().item<double>() / pairs;
  const double norm = norms_E.sqrt().mean().item<double>();
  return norm > 0 ? distance / norm : 0;
}

std::vector<LayerFigures> LayersOf(const lory::model::Transformer& model) {
  std::vector<LayerFigures> layers;
  const ModelShape& shape = model.shape();
  if (shape.expert_count == 0) return layers;
  for (int64_t i = 0; i < shape.layer_count; ++i) {
    const std::string prefix = lory::config::LayerPrefix(i);
    LayerFigures figures{.layer = i};
    figures.expert_distance =
        ExpertDistance(model.parameters(), prefix, shape.expert_count);
    const auto* router =
        model.parameters().Find(absl::StrCat(prefix, lory::config::kRouter));
    if (router != nullptr) {
      const at::Tensor norms =
          at::linalg_vector_norm(router->value, 2, {1}, false, at::kDouble)
              .contiguous();
      figures.router_row_norms.assign(
          norms.const_data_ptr<double>(),
          norms.const_data_ptr<double>() + norms.numel());
    }
    layers.push_back(std::move(figures));
  }
  return layers;
}

std::string FeedForwardText(const Inspection& inspection) {
  const ModelShape& shape = inspection.shape;
  if (shape.feed_forward == FeedForwardKind::kDense) {
    return inspection.is_dense_phase ? "dense phase of a job with experts"
                                     : "dense";
  }
  return absl::StrCat(lory::config::VariantName(shape), ", ",
                      shape.feed_forward_summary);
}

ordered_json ShapeJson(const ModelShape& shape) {
  ordered_json json = {{"vocabulary_size", shape.vocabulary_size},
                       {"layer_count", shape.layer_count},
                       {"width", shape.width},
                       {"head_count", shape.head_count},
                       {"key_value_head_count", shape.key_value_head_count},
                       {"feed_forward_width", shape.feed_forward_width},
                       {"sequence_length", shape.sequence_length},
                       {"rotary_base", shape.rotary_base},
                       {"norm_epsilon", shape.norm_epsilon},
                       {"feed_forward", lory::config::VariantName(shape)}};
  if (shape.expert_count > 0) {
    json["feed_forward_summary"] = shape.feed_forward_summary;
    json["expert_count"] = shape.expert_count;
  }
  if (shape.segment_length > 0) json["segment_length"] = shape.segment_length;
  if (shape.feed_forward == FeedForwardKind::kLory) {
    json["first_segment"] = lory::v1::LoryFeedForward::FirstSegment_Name(
        shape.feed_forward_spec.lory().first_segment());
  }
  return json;
}

}  // namespace

absl::StatusOr<Inspection> Inspect(const LoadedCheckpoint& checkpoint) {
  return lory::train::GuardTorch("inspecting", [&] {
    at::NoGradGuard no_grad;
    const lory::model::Transformer& model = *checkpoint.model;
    Inspection inspection;
    inspection.job = checkpoint.manifest.job;
    inspection.step = checkpoint.manifest.checkpoint.step();
    inspection.generation = checkpoint.manifest.checkpoint.generation();
    inspection.tokenizer_sha256 = checkpoint.manifest.tokenizer_sha256;
    inspection.is_dense_phase = model.is_dense_phase();
    inspection.shape = model.shape();
    inspection.parameter_count = lory::config::ParameterCount(model.shape());
    inspection.active_parameter_count =
        lory::config::ActiveParameterCount(model.shape());
    for (const auto& parameter : model.parameters().parameters()) {
      inspection.tensors.push_back(FiguresOf(parameter));
    }
    inspection.layers = LayersOf(model);
    return inspection;
  });
}

std::string ToText(const Inspection& inspection) {
  const ModelShape& shape = inspection.shape;
  std::string out = absl::StrFormat(
      "job          %s, step %d, generation %d\n"
      "model        %d layers, width %d, %d heads (%d of keys), "
      "feed-forward %d\n"
      "             vocabulary %d, context %d\n"
      "tokenizer    %s\n"
      "feed-forward %s\n"
      "parameters   %d, active %d\n\n",
      inspection.job, inspection.step, inspection.generation, shape.layer_count,
      shape.width, shape.head_count, shape.key_value_head_count,
      shape.feed_forward_width, shape.vocabulary_size, shape.sequence_length,
      inspection.tokenizer_sha256.empty()
          ? "not known"
          : absl::StrCat("SHA-256 ", inspection.tokenizer_sha256),
      FeedForwardText(inspection), inspection.parameter_count,
      inspection.active_parameter_count);
  absl::StrAppendFormat(&out, "%-52s %-20s %12s\n", "tensor", "shape", "norm");
  for (const TensorFigures& tensor : inspection.tensors) {
    absl::StrAppendFormat(&out, "%-52s %-20s %12.5g", tensor.name,
                          absl::StrJoin(tensor.sizes, " x "), tensor.norm);
    if (tensor.nonfinite_count > 0) {
      absl::StrAppendFormat(&out, "  %d not finite", tensor.nonfinite_count);
    }
    out += "\n";
  }
  if (inspection.layers.empty()) return out;
  out += "\nlayer  expert distance  norms of the router's rows\n";
  for (const LayerFigures& layer : inspection.layers) {
    absl::StrAppendFormat(&out, "%5d  %15.5f  ", layer.layer,
                          layer.expert_distance);
    absl::StrAppend(&out,
                    absl::StrJoin(layer.router_row_norms, " ",
                                  [](std::string* text, double norm) {
                                    absl::StrAppendFormat(text, "%.3f", norm);
                                  }),
                    "\n");
  }
  return out;
}

std::string ToJson(const Inspection& inspection) {
  ordered_json json = {{"job", inspection.job},
                       {"step", inspection.step},
                       {"generation", inspection.generation},
                       {"dense_phase", inspection.is_dense_phase},
                       {"model", ShapeJson(inspection.shape)}};
  if (!inspection.tokenizer_sha256.empty()) {
    json["tokenizer_sha256"] = inspection.tokenizer_sha256;
  }
  json["parameters"] = {{"total", inspection.parameter_count},
                        {"active", inspection.active_parameter_count}};
  json["tensors"] = ordered_json::array();
  for (const TensorFigures& tensor : inspection.tensors) {
    json["tensors"].push_back({{"name", tensor.name},
                               {"shape", tensor.sizes},
                               {"norm", JsonNumber(tensor.norm)},
                               {"nonfinite", tensor.nonfinite_count}});
  }
  json["layers"] = ordered_json::array();
  for (const LayerFigures& layer : inspection.layers) {
    ordered_json norms = ordered_json::array();
    for (const double norm : layer.router_row_norms) {
      norms.push_back(JsonNumber(norm));
    }
    json["layers"].push_back(
        {{"layer", layer.layer},
         {"expert_distance", JsonNumber(layer.expert_distance)},
         {"router_row_norms", std::move(norms)}});
  }
  return json.dump(1) + "\n";
}

}  // namespace lory::surgery
