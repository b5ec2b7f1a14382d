#ifndef LORY_COMMON_CONFIG_MODEL_SHAPE_H_
#define LORY_COMMON_CONFIG_MODEL_SHAPE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lory/v1/model.pb.h"

// What a ModelSpec means: its defaults resolved, its ranges checked, and every
// tensor it has. Pure, and without LibTorch, so that the coordinator can refuse
// a job and loryctl can print its size.
namespace lory::config {

// Which feed-forward every layer has: kDense, kLory and so on, as the fields of
// FeedForwardSpec are called.
using FeedForwardKind = lory::v1::FeedForwardSpec::VariantCase;

// How a parameter starts.
enum class Initialisation {
  kNormal,    // N(0, scale)
  kConstant,  // scale
};

// One tensor of the model.
struct ParameterShape {
  std::string name;  // as in Hugging Face's LLaMA, "lm_head.weight"
  std::vector<int64_t> sizes;
  Initialisation initialisation = Initialisation::kNormal;
  double scale = 0;
  bool decays = true;  // under weight decay: matrices, not vectors

  int64_t element_count() const;
};

// A ModelSpec with nothing left to default.
struct ModelShape {
  int64_t vocabulary_size = 0;
  int64_t layer_count = 0;
  int64_t width = 0;
  int64_t head_count = 0;
  int64_t key_value_head_count = 0;
  int64_t head_width = 0;
  int64_t feed_forward_width = 0;
  int64_t sequence_length = 0;
  double rotary_base = 0;
  double norm_epsilon = 0;
  double init_stddev = 0;

  // The feed-forward of every layer. What follows it is 0, false or empty where
  // the variant has no such thing.
  FeedForwardKind feed_forward = FeedForwardKind::kDense;
  // Its options with their defaults; a dense_fraction of none is negative.
  lory::v1::FeedForwardSpec feed_forward_spec;
  int64_t expert_count = 0;
  // Experts that a token meets, unless they are merged into one for it.
  int64_t active_expert_count = 0;
  bool merges_experts = false;
  // Tokens routed together.
  int64_t segment_length = 0;
  // Share of the steps that train the dense model.
  double dense_fraction = 0;
  // Whether, outside of training, no token sees later ones but, in some
  // variants, those of a first segment.
  bool is_causal = true;
  // In a few words: "8 experts, segments of 256".
  std::string feed_forward_summary;
  // Its tensors in one layer, named as after LayerPrefix.
  std::vector<ParameterShape> feed_forward_parameters;
};

// Checks `spec` and fills in its defaults.
//
// INVALID_ARGUMENT: a value out of range or two that do not fit. The message
// starts with the path of the field, `field_path` first: "model.width: ...".
absl::StatusOr<ModelShape> ResolveModelShape(
    const lory::v1::ModelSpec& spec, absl::string_view field_path = "model");

// As ResolveModelShape, for callers that want the verdict only.
absl::Status ValidateModelSpec(const lory::v1::ModelSpec& spec,
                               absl::string_view field_path = "model");

// The model trained before its feed-forwards are duplicated into experts: as
// `shape`, every feed-forward dense. Of a dense shape: itself.
ModelShape DensePhaseShape(const ModelShape& shape);

// Steps, from the first, that train the dense model: dense_fraction of
// `total_steps`, rounded to the nearest; 0 for a dense model, which has no
// phases, and at least 1 where a fraction is asked for.
int64_t DenseStepCount(const ModelShape& shape, int64_t total_steps);

// LLaMA's rule for the inner width: 8 D / 3 rounded up to a multiple of 256,
// or of 32 where D is below 512.
int64_t LlamaFeedForwardWidth(int64_t width);

// Every parameter, in the model's fixed order: embedding, layers, norm, head.
std::vector<ParameterShape> ParameterShapes(const ModelShape& shape);

// Numbers in all of them.
int64_t ParameterCount(const ModelShape& shape);

// Numbers that a token meets. Where experts are merged: the size of the dense
// model that a model routed by a prompt is. Elsewhere: all but the experts that
// a token passes by, with Soft MoE none.
int64_t ActiveParameterCount(const ModelShape& shape);

// Positions, from the first, that may see each other, because their own mean
// routes them: the loss there is no likelihood of a text that is read from left
// to right. 0: none. Of a model that is not causal it says nothing.
int64_t LeakLength(const ModelShape& shape);

// Whether the tensor called `name` routes, in whatever layer.
bool IsRoutingParameter(absl::string_view name);

// Names of the tensors of layer `layer`.
std::string LayerPrefix(int64_t layer);  // "model.layers.3."

inline constexpr absl::string_view kEmbeddingName = "model.embed_tokens.weight";
inline constexpr absl::string_view kFinalNormName = "model.norm.weight";
inline constexpr absl::string_view kHeadName = "lm_head.weight";

// After LayerPrefix.
inline constexpr absl::string_view kAttentionNorm = "input_layernorm.weight";
inline constexpr absl::string_view kQueryProjection = "self_attn.q_proj.weight";
inline constexpr absl::string_view kKeyProjection = "self_attn.k_proj.weight";
inline constexpr absl::string_view kValueProjection = "self_attn.v_proj.weight";
inline constexpr absl::string_view kOutputProjection =
    "self_attn.o_proj.weight";
inline constexpr absl::string_view kFeedForwardNorm =
    "post_attention_layernorm.weight";
// Dense: [F, D], [F, D], [D, F].
inline constexpr absl::string_view kGate = "mlp.gate_proj.weight";
inline constexpr absl::string_view kUp = "mlp.up_proj.weight";
inline constexpr absl::string_view kDown = "mlp.down_proj.weight";
// With experts: the same with E in front.
inline constexpr absl::string_view kExpertGate = "mlp.experts.gate_proj.weight";
inline constexpr absl::string_view kExpertUp = "mlp.experts.up_proj.weight";
inline constexpr absl::string_view kExpertDown = "mlp.experts.down_proj.weight";
// What decides who goes where; all of it starts with kRouterPrefix but the
// learned first mixture of Lory. A dense model has no counterpart.
inline constexpr absl::string_view kRouterPrefix = "mlp.router.";
inline constexpr absl::string_view kRouter = "mlp.router.weight";  // [E, D]
inline constexpr absl::string_view kFirstSegment = "mlp.first_segment";  // [E]
// SMEAR: gains and biases, [D], of the norms of its input and of its rows.
inline constexpr absl::string_view kRouterNormGain = "mlp.router.norm.weight";
inline constexpr absl::string_view kRouterNormBias = "mlp.router.norm.bias";
inline constexpr absl::string_view kRouterRowGain =
    "mlp.router.row_norm.weight";
inline constexpr absl::string_view kRouterRowBias = "mlp.router.row_norm.bias";
// WEMoE, whose experts are the base and E task vectors: of the gate's first
// map, where there are two, [D, D] and [D], and of its last, [E].
inline constexpr absl::string_view kRouterHidden = "mlp.router.hidden.weight";
inline constexpr absl::string_view kRouterHiddenBias = "mlp.router.hidden.bias";
inline constexpr absl::string_view kRouterBias = "mlp.router.bias";
// Soft MoE: [E, slots, D] and [1].
inline constexpr absl::string_view kSlots = "mlp.router.slots";
inline constexpr absl::string_view kSlotScale = "mlp.router.scale";

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_MODEL_SHAPE_H_
