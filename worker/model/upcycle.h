#ifndef LORY_WORKER_MODEL_UPCYCLE_H_
#define LORY_WORKER_MODEL_UPCYCLE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lory/v1/model.pb.h"
#include "worker/model/transformer.h"

// The switch from the dense phase to experts (Lory, section 4.1).
namespace lory::model {

// A model with experts made of a dense one: every feed-forward duplicated into
// all experts, routers drawn anew from `seed`, everything else copied. It
// computes what `dense` computes, whatever its routers say, where the weights
// of a token's experts sum to one: in all variants but Expert Choice, Soft MoE
// and token choice with weights PROBABILITY.
//
// INVALID_ARGUMENT: `spec` is not valid, has no experts, or differs from that
// of `dense` in any size but those of the experts.
absl::StatusOr<std::unique_ptr<Transformer>> UpcycleToExperts(
    const Transformer& dense, const lory::v1::ModelSpec& spec, uint64_t seed);

// Fills a buffer laid out like the parameters of a model with experts from one
// laid out like the dense model's: experts get their dense counterpart times
// `expert_scale`, what routes zero, the rest a copy. With 1 it duplicates
// weights; with 1/E and 1/E^2 Adam's moments.
//
// INVALID_ARGUMENT: a parameter of `experts` has no counterpart in `dense`.
absl::Status UpcycleBuffer(const ParameterStore& dense,
                           const at::Tensor& dense_flat,
                           const ParameterStore& experts, double expert_scale,
                           const at::Tensor& experts_flat);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_UPCYCLE_H_
