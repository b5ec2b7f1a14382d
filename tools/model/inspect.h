#ifndef LORY_TOOLS_MODEL_INSPECT_H_
#define LORY_TOOLS_MODEL_INSPECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/model_shape.h"
#include "tools/model/checkpoint_folder.h"

// What a checkpoint holds, in figures.
namespace lory::surgery {

struct TensorFigures {
  std::string name;
  std::vector<int64_t> sizes;
  double norm = 0;              // root of the sum of squares
  int64_t nonfinite_count = 0;  // numbers that are infinite or NaN
};

// Of a layer with experts; of WEMoE the task vectors are the experts.
struct LayerFigures {
  int64_t layer = 0;
  // Mean over all pairs of experts of the norm of their difference, over the
  // mean norm of an expert; gate, up and down together. 0: all alike.
  double expert_distance = 0;
  // One an expert; empty where the variant has no such matrix.
  std::vector<double> router_row_norms;
};

struct Inspection {
  std::string job;
  int64_t step = 0;
  int64_t generation = 0;
  std::string tokenizer_sha256;  // empty: not known
  bool is_dense_phase = false;
  lory::config::ModelShape shape;  // of what is stored
  int64_t parameter_count = 0;
  int64_t active_parameter_count = 0;
  std::vector<TensorFigures> tensors;
  std::vector<LayerFigures> layers;  // empty for a dense model
};

// RESOURCE_EXHAUSTED: no memory.
absl::StatusOr<Inspection> Inspect(const LoadedCheckpoint& checkpoint);

std::string ToText(const Inspection& inspection);
std::string ToJson(const Inspection& inspection);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_INSPECT_H_
