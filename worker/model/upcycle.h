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

// A Lory model that computes what `dense` computes, whatever its routers say:
// every feed-forward duplicated into all experts, routers drawn anew from
// `seed`, everything else copied.
//
// INVALID_ARGUMENT: `spec` is not valid, is not a Lory spec, or differs from
// that of `dense` in any size but those of the experts.
absl::StatusOr<std::unique_ptr<Transformer>> UpcycleToLory(
    const Transformer& dense, const lory::v1::ModelSpec& spec, uint64_t seed);

// Fills a buffer laid out like the Lory model's parameters from one laid out
// like the dense model's: experts get their dense counterpart times
// `expert_scale`, routers and learned first segments zero, the rest a copy.
// With 1 it duplicates weights; with 1/E and 1/E^2 Adam's moments.
//
// INVALID_ARGUMENT: a parameter of `lory` has no counterpart in `dense`.
absl::Status UpcycleBuffer(const ParameterStore& dense,
                           const at::Tensor& dense_flat,
                           const ParameterStore& lory, double expert_scale,
                           const at::Tensor& lory_flat);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_UPCYCLE_H_
