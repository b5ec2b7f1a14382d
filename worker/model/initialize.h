#ifndef LORY_WORKER_MODEL_INITIALIZE_H_
#define LORY_WORKER_MODEL_INITIALIZE_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "common/config/model_shape.h"
#include "worker/model/parameter_store.h"

namespace lory::model {

// Fills every parameter of `store`, made from ParameterShapes(shape), with its
// initial numbers.
//
// Number i of a parameter depends on seed, name, i and the standard deviation
// only: not on the other parameters, their order or the number of threads. A
// dense model and a Lory model of one seed therefore agree in all they share.
void InitializeParameters(const lory::config::ModelShape& shape, uint64_t seed,
                          ParameterStore& store);

// The same for the one parameter `name`, which must exist.
void InitializeParameter(const lory::config::ModelShape& shape, uint64_t seed,
                         absl::string_view name, ParameterStore& store);

}  // namespace lory::model

#endif  // LORY_WORKER_MODEL_INITIALIZE_H_
