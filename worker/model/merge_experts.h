#ifndef LORY_WORKER_MODEL_MERGE_EXPERTS_H_
#define LORY_WORKER_MODEL_MERGE_EXPERTS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model/transformer.h"

// A Lory model under fixed routing is a dense model (Lory, arXiv 2405.03133,
// section 3.1, inference). All throw c10::Error, as Transformer does.
namespace lory::model {

// For each layer the weight of each expert; each row sums to one.
using LayerRouting = std::vector<std::vector<double>>;

// All experts alike.
LayerRouting UniformRouting(const lory::config::ModelShape& shape);

// `model` with whole sequences for segments: each layer is routed once, by the
// mean of what its feed-forward sees, the layers below it merged likewise. What
// PROMPT inference does to a prompt. A copy of the weights.
absl::StatusOr<std::unique_ptr<Transformer>> WithOneSegment(
    const Transformer& model);

// The routing that a prompt asks for: PROMPT inference.
//
// INVALID_ARGUMENT: `model` is not Lory; the prompt is empty or longer than the
// model's sequences.
absl::StatusOr<LayerRouting> PromptRouting(const Transformer& model,
                                           const std::vector<int64_t>& tokens);

// The mean of the routing weights of all segments of a text, each routed as in
// training, sequence by sequence. Segments that no router decided do not count.
//
// INVALID_ARGUMENT: `model` is not Lory; no router decided any segment.
absl::StatusOr<LayerRouting> AverageRouting(const Transformer& model,
                                            const std::vector<int64_t>& tokens);

// The dense model that `model` is under `routing`: weights summed in double,
// rounded once.
//
// INVALID_ARGUMENT: `model` is not Lory, or `routing` is not of its shape.
absl::StatusOr<std::unique_ptr<Transformer>> MergeExperts(
    const Transformer& model, const LayerRouting& routing);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_MERGE_EXPERTS_H_
