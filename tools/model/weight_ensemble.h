#ifndef LORY_TOOLS_MODEL_WEIGHT_ENSEMBLE_H_
#define LORY_TOOLS_MODEL_WEIGHT_ENSEMBLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "lory/v1/model.pb.h"
#include "worker/model/transformer.h"

namespace lory::surgery {

// WEMoE (arXiv 2402.00433) from a dense base and dense models tuned from it:
// their feed-forwards less the base's become the task vectors, everything else
// is task arithmetic with the initial weight. Gates are drawn from `seed`;
// until they are trained the model is nearly, with a constant gate exactly,
// what task arithmetic gives. The number of experts in `options` is that of the
// models.
//
// INVALID_ARGUMENT: the base is not dense, there is nothing to add, a model has
// other tensors than the base (says which model by its place, from 1), or an
// option is out of range.
absl::StatusOr<std::unique_ptr<lory::model::Transformer>> MakeWeightEnsemble(
    const lory::model::Transformer& base,
    const std::vector<std::unique_ptr<lory::model::Transformer>>& tuned,
    const lory::v1::WeightEnsemblingFeedForward& options, uint64_t seed);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_WEIGHT_ENSEMBLE_H_
