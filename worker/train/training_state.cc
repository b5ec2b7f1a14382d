#include "worker/train/training_state.h"

#include <ATen/core/Tensor.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/config/model_shape.h"
#include "common/data/sample_digest.h"
#include "worker/model/upcycle.h"
#include "worker/train/torch_guard.h"

namespace lory::train {
namespace {

using ::lory::model::Transformer;
using ::lory::optim::AdamW;

constexpr absl::string_view kNonfiniteInRow = "nonfinite_in_row";
constexpr absl::string_view kNonfiniteCount = "nonfinite_count";

uint64_t HashTensor(const at::Tensor& tensor, uint64_t seed) {
  return FastHash64(tensor.const_data_ptr(), tensor.nbytes(), seed);
}

absl::Status ReadNumber(const std::map<std::string, std::string>& metadata,
                        absl::string_view key, int64_t* value) {
  const auto found = metadata.find(std::string(key));
  if (found == metadata.end() || !absl::SimpleAtoi(found->second, value)) {
    return absl::DataLossError(
        absl::StrCat("the checkpoint's metadata has no number ", key));
  }
  return absl::OkStatus();
}

// Without a gradient the others stay as they are.
void LearnRoutingAlone(const lory::model::ParameterStore& store) {
  for (const lory::model::Parameter& parameter : store.parameters()) {
    parameter.value.set_requires_grad(
        lory::config::IsRoutingParameter(parameter.name));
  }
}

// Of a job without steps: one that is never used, but goes with a state.
lory::v1::OptimizerSpec OptimizerOf(const lory::v1::JobSpec& spec) {
  lory::v1::OptimizerSpec optimizer = spec.optimizer();
  if (spec.kind() == lory::v1::JobSpec::EVALUATE) {
    optimizer.set_peak_learning_rate(1);
  }
  return optimizer;
}

}  // namespace

int64_t DenseSteps(const lory::v1::JobSpec& spec) {
  const auto shape = lory::config::ResolveModelShape(spec.model());
  return shape.ok() ? lory::config::DenseStepCount(*shape, spec.step_count())
                    : 0;
}

absl::StatusOr<TrainingState> InitialState(const lory::v1::JobSpec& spec) {
  return GuardTorch("making the model", [&]() -> absl::StatusOr<TrainingState> {
    TrainingState state;
    LORY_ASSIGN_OR_RETURN(
        state.model, Transformer::Create(spec.model(), DenseSteps(spec) > 0,
                                         static_cast<uint64_t>(spec.seed())));
    state.optimizer =
        std::make_unique<AdamW>(spec.optimizer(), state.model->parameters());
    state.chain = lory::data::InitialDigest();
    return state;
  });
}

absl::StatusOr<TrainingState> InitialState(
    const lory::v1::JobSpec& spec,
    const lory::checkpoint::CheckpointReader& weights) {
  LORY_ASSIGN_OR_RETURN(TrainingState state, BlankState(spec, 0));
  LORY_RETURN_IF_ERROR(weights.Load(state.model->parameters().NamedValues()));
  return state;
}

absl::StatusOr<TrainingState> BlankState(const lory::v1::JobSpec& spec,
                                         int64_t step) {
  return GuardTorch("making the model", [&]() -> absl::StatusOr<TrainingState> {
    TrainingState state;
    LORY_ASSIGN_OR_RETURN(
        state.model, Transformer::CreateUninitialised(spec.model(),
                                                      step < DenseSteps(spec)));
    if (spec.kind() == lory::v1::JobSpec::ADAPT) {
      LearnRoutingAlone(state.model->parameters());
    }
    state.optimizer =
        std::make_unique<AdamW>(OptimizerOf(spec), state.model->parameters());
    state.step = step;
    state.chain = lory::data::InitialDigest();
    return state;
  });
}

absl::Status UpcycleIfDue(const lory::v1::JobSpec& spec, TrainingState& state) {
  if (!state.model->is_dense_phase() || state.step < DenseSteps(spec)) {
    return absl::OkStatus();
  }
  return GuardTorch("turning the dense model into experts", [&]() {
    return [&]() -> absl::Status {
      LORY_ASSIGN_OR_RETURN(
          std::unique_ptr<Transformer> experts,
          lory::model::UpcycleToExperts(*state.model, spec.model(),
                                        static_cast<uint64_t>(spec.seed())));
      auto optimizer =
          std::make_unique<AdamW>(spec.optimizer(), experts->parameters());
      LORY_RETURN_IF_ERROR(lory::optim::UpcycleMoments(
          state.model->parameters(), *state.optimizer, experts->parameters(),
          experts->shape().expert_count, *optimizer));
      state.model = std::move(experts);
      state.optimizer = std::move(optimizer);
      return absl::OkStatus();
    }();
  });
}

std::string DigestOf(const TrainingState& state) {
  uint64_t hash = HashTensor(state.model->parameters().flat_values(), 1);
  hash = HashTensor(state.optimizer->first_moment(), hash);
  hash = HashTensor(state.optimizer->second_moment(), hash);
  const std::string rest = absl::StrCat(
      state.step, "/", state.optimizer->step_count(), "/",
      state.nonfinite_in_row, "/", state.nonfinite_count, "/", state.chain);
  hash = FastHash64(rest.data(), rest.size(), hash);
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(hash >> (8 * i)));
  }
  return bytes;
}

lory::model::NamedTensors TensorsOf(const TrainingState& state) {
  lory::model::NamedTensors tensors = state.model->parameters().NamedValues();
  for (auto& named : state.optimizer->NamedState(state.model->parameters())) {
    tensors.push_back(std::move(named));
  }
  return tensors;
}

std::map<std::string, std::string> MetadataOf(const TrainingState& state) {
  return {{std::string(kNonfiniteInRow), absl::StrCat(state.nonfinite_in_row)},
          {std::string(kNonfiniteCount), absl::StrCat(state.nonfinite_count)}};
}

absl::Status SetFromMetadata(const std::map<std::string, std::string>& metadata,
                             TrainingState& state) {
  LORY_RETURN_IF_ERROR(
      ReadNumber(metadata, kNonfiniteInRow, &state.nonfinite_in_row));
  return ReadNumber(metadata, kNonfiniteCount, &state.nonfinite_count);
}

}  // namespace lory::train
