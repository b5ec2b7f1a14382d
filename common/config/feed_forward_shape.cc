#include "common/config/feed_forward_shape.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/field_checks.h"

namespace lory::config {
namespace {

using ::lory::v1::FeedForwardSpec;

// The paper's dense phase.
constexpr double kDenseFraction = 0.05;
// Where duplicated experts would not compute what the dense model did.
constexpr double kNoDensePhase = 0;

void Add(ModelShape& shape, absl::string_view name, std::vector<int64_t> sizes,
         Initialisation how, double scale) {
  const bool is_matrix = sizes.size() > 1;
  shape.feed_forward_parameters.push_back(
      {std::string(name), std::move(sizes), how, scale, is_matrix});
}

void AddExperts(ModelShape& shape, int64_t E) {
  const int64_t D = shape.width;
  const int64_t F = shape.feed_forward_width;
  const auto add = [&](absl::string_view name, std::vector<int64_t> sizes) {
    Add(shape, name, std::move(sizes), Initialisation::kNormal,
        shape.init_stddev);
  };
  add(kExpertGate, {E, F, D});
  add(kExpertUp, {E, F, D});
  add(kExpertDown, {E, D, F});
}

void AddRouter(ModelShape& shape, double stddev) {
  Add(shape, kRouter, {shape.expert_count, shape.width},
      Initialisation::kNormal, stddev);
}

std::string Experts(const ModelShape& shape) {
  return absl::StrCat(shape.expert_count, " experts");
}

// What all variants with experts have.
template <typename Options>
absl::Status ResolveExperts(absl::string_view path, double dense_fraction,
                            Options& options, ModelShape& shape) {
  LORY_RETURN_IF_ERROR(
      CheckRange(path, "expert_count", options.expert_count(), 1, 256));
  LORY_RETURN_IF_ERROR(
      CheckBelowOne(path, "dense_fraction", options.dense_fraction()));
  if (options.dense_fraction() == 0) {
    options.set_dense_fraction(dense_fraction > 0 ? dense_fraction : -1);
  }
  shape.expert_count = options.expert_count();
  shape.dense_fraction = std::max(0.0, options.dense_fraction());
  return absl::OkStatus();
}

template <typename Options>
absl::Status ResolveRouter(absl::string_view path, double stddev,
                           Options& options) {
  options.set_router_init_stddev(
      OrDefault(options.router_init_stddev(), stddev));
  return CheckPositive(path, "router_init_stddev",
                       options.router_init_stddev());
}

template <typename Options>
absl::Status ResolveSegments(absl::string_view path, const Options& options,
                             ModelShape& shape) {
  LORY_RETURN_IF_ERROR(CheckRange(path, "segment_length",
                                  options.segment_length(), 1,
                                  shape.sequence_length));
  if (shape.sequence_length % options.segment_length() != 0) {
    return InvalidField(path, "segment_length",
                        absl::StrCat(options.segment_length(),
                                     " does not divide sequence_length (",
                                     shape.sequence_length, ")"));
  }
  shape.segment_length = options.segment_length();
  return absl::OkStatus();
}

absl::Status UnknownValue(absl::string_view path, absl::string_view field,
                          int value) {
  return InvalidField(path, field, absl::StrCat("unknown value ", value));
}

absl::Status ResolveDense(absl::string_view, FeedForwardSpec&,
                          ModelShape& shape) {
  const int64_t D = shape.width;
  const int64_t F = shape.feed_forward_width;
  const auto add = [&](absl::string_view name, std::vector<int64_t> sizes) {
    Add(shape, name, std::move(sizes), Initialisation::kNormal,
        shape.init_stddev);
  };
  add(kGate, {F, D});
  add(kUp, {F, D});
  add(kDown, {D, F});
  return absl::OkStatus();
}

absl::Status ResolveLory(absl::string_view path, FeedForwardSpec& spec,
                         ModelShape& shape) {
  using ::lory::v1::LoryFeedForward;
  LoryFeedForward& options = *spec.mutable_lory();
  LORY_RETURN_IF_ERROR(ResolveExperts(path, kDenseFraction, options, shape));
  LORY_RETURN_IF_ERROR(ResolveRouter(path, 0.02, options));
  LORY_RETURN_IF_ERROR(ResolveSegments(path, options, shape));
  if (!LoryFeedForward::FirstSegment_IsValid(options.first_segment())) {
    return UnknownValue(path, "first_segment", options.first_segment());
  }
  if (options.first_segment() == LoryFeedForward::FIRST_SEGMENT_UNSPECIFIED) {
    options.set_first_segment(LoryFeedForward::SELF_STOP_GRADIENT);
  }
  shape.merges_experts = true;
  shape.feed_forward_summary =
      absl::StrCat(Experts(shape), ", segments of ", shape.segment_length);
  AddExperts(shape, shape.expert_count);
  AddRouter(shape, options.router_init_stddev());
  if (options.first_segment() == LoryFeedForward::LEARNED) {
    Add(shape, kFirstSegment, {shape.expert_count}, Initialisation::kConstant,
        0);
  }
  return absl::OkStatus();
}

absl::Status ResolvePrefixRouting(absl::string_view path, FeedForwardSpec& spec,
                                  ModelShape& shape) {
  auto& options = *spec.mutable_prefix_routing();
  LORY_RETURN_IF_ERROR(ResolveExperts(path, kDenseFraction, options, shape));
  LORY_RETURN_IF_ERROR(ResolveRouter(path, 0.02, options));
  LORY_RETURN_IF_ERROR(CheckRange(path, "segment_length",
                                  options.segment_length(), 1,
                                  shape.sequence_length));
  shape.segment_length = options.segment_length();
  shape.merges_experts = true;
  shape.feed_forward_summary =
      absl::StrCat(Experts(shape), " merged for a sequence by its first ",
                   shape.segment_length, " tokens");
  AddExperts(shape, shape.expert_count);
  AddRouter(shape, options.router_init_stddev());
  return absl::OkStatus();
}

absl::Status ResolveTokenChoice(absl::string_view path, FeedForwardSpec& spec,
                                ModelShape& shape) {
  using Options = ::lory::v1::TokenChoiceFeedForward;
  Options& options = *spec.mutable_token_choice();
  if (options.top_k() == 0) {
    options.set_top_k(std::min(2, options.expert_count()));
  }
  if (!Options::Weights_IsValid(options.weights())) {
    return UnknownValue(path, "weights", options.weights());
  }
  if (options.weights() == Options::WEIGHTS_UNSPECIFIED) {
    options.set_weights(options.top_k() == 1 && options.expert_count() > 1
                            ? Options::PROBABILITY
                            : Options::RENORMALISED);
  }
  if (!Options::Balance_IsValid(options.balance())) {
    return UnknownValue(path, "balance", options.balance());
  }
  if (options.balance() == Options::BALANCE_UNSPECIFIED) {
    options.set_balance(Options::SWITCH);
  }
  options.set_balance_coefficient(
      OrDefault(options.balance_coefficient(),
                options.balance() == Options::HF_MIXTRAL ? 0.02 : 0.01));
  LORY_RETURN_IF_ERROR(ResolveExperts(path,
                                      options.weights() == Options::RENORMALISED
                                          ? kDenseFraction
                                          : kNoDensePhase,
                                      options, shape));
  LORY_RETURN_IF_ERROR(ResolveRouter(path, 0.02, options));
  LORY_RETURN_IF_ERROR(
      CheckRange(path, "top_k", options.top_k(), 1, shape.expert_count));
  LORY_RETURN_IF_ERROR(CheckPositive(path, "balance_coefficient",
                                     options.balance_coefficient()));
  if (options.z_loss_coefficient() != 0) {
    LORY_RETURN_IF_ERROR(CheckPositive(path, "z_loss_coefficient",
                                       options.z_loss_coefficient()));
  }
  shape.active_expert_count = options.top_k();
  shape.feed_forward_summary =
      absl::StrCat(Experts(shape), ", ", options.top_k(), " for each token");
  AddExperts(shape, shape.expert_count);
  AddRouter(shape, options.router_init_stddev());
  return absl::OkStatus();
}

absl::Status ResolveExpertChoice(absl::string_view path, FeedForwardSpec& spec,
                                 ModelShape& shape) {
  using Options = ::lory::v1::ExpertChoiceFeedForward;
  Options& options = *spec.mutable_expert_choice();
  LORY_RETURN_IF_ERROR(ResolveExperts(path, kNoDensePhase, options, shape));
  LORY_RETURN_IF_ERROR(ResolveRouter(path, 0.02, options));
  if (!Options::Level_IsValid(options.level())) {
    return UnknownValue(path, "level", options.level());
  }
  if (!Options::Group_IsValid(options.group())) {
    return UnknownValue(path, "group", options.group());
  }
  if (options.level() == Options::LEVEL_UNSPECIFIED) {
    options.set_level(Options::TOKEN);
  }
  if (options.group() == Options::GROUP_UNSPECIFIED) {
    options.set_group(Options::SEQUENCE);
  }
  if (options.level() == Options::SEGMENT) {
    LORY_RETURN_IF_ERROR(ResolveSegments(path, options, shape));
  } else if (options.segment_length() != 0) {
    return InvalidField(path, "segment_length",
                        "belongs to level: segment; leave it out");
  }
  options.set_capacity_factor(OrDefault(options.capacity_factor(), 1));
  const double factor = options.capacity_factor();
  if (!(factor > 0 && factor <= options.expert_count())) {
    return InvalidField(
        path, "capacity_factor",
        absl::StrCat(factor, " is not above 0 and at most ", "expert_count (",
                     options.expert_count(), ")"));
  }
  shape.active_expert_count = std::max<int64_t>(1, std::llround(factor));
  shape.feed_forward_summary =
      absl::StrCat(Experts(shape), " that choose their ",
                   shape.segment_length > 0
                       ? absl::StrCat("segments of ", shape.segment_length)
                       : "tokens");
  AddExperts(shape, shape.expert_count);
  AddRouter(shape, options.router_init_stddev());
  return absl::OkStatus();
}

// Of variants that let all tokens of a sequence see each other.
template <typename Options>
absl::Status CheckAllowed(absl::string_view path, absl::string_view why,
                          const Options& options, ModelShape& shape) {
  shape.is_causal = false;
  if (options.allow_noncausal()) return absl::OkStatus();
  return InvalidField(
      path, "allow_noncausal",
      absl::StrCat("is not set, but ", why,
                   " lets every token see all of its sequence, so that the "
                   "loss is no likelihood; set it to true where that is what "
                   "you want"));
}

absl::Status ResolveSmear(absl::string_view path, FeedForwardSpec& spec,
                          ModelShape& shape) {
  auto& options = *spec.mutable_smear();
  LORY_RETURN_IF_ERROR(ResolveExperts(path, kDenseFraction, options, shape));
  LORY_RETURN_IF_ERROR(ResolveRouter(path, 0.01, options));
  LORY_RETURN_IF_ERROR(CheckRange(path, "pool_length", options.pool_length(), 0,
                                  shape.sequence_length));
  const bool pools_all = options.pool_length() == 0 ||
                         options.pool_length() == shape.sequence_length;
  if (pools_all) {
    LORY_RETURN_IF_ERROR(CheckAllowed(
        path, "a pool_length of the whole sequence", options, shape));
  }
  LORY_RETURN_IF_ERROR(
      CheckBelowOne(path, "expert_dropout", options.expert_dropout()));
  options.set_expert_dropout(OrDefault(options.expert_dropout(), 0.1));
  shape.merges_experts = true;
  shape.feed_forward_summary = absl::StrCat(
      Experts(shape), " merged for a sequence by ",
      pools_all ? "all of it, not causal"
                : absl::StrCat("its first ", options.pool_length(), " tokens"));
  AddExperts(shape, shape.expert_count);
  AddRouter(shape, options.router_init_stddev());
  const auto add_vector = [&](absl::string_view name, double value) {
    Add(shape, name, {shape.width}, Initialisation::kConstant, value);
  };
  add_vector(kRouterNormGain, 1);
  add_vector(kRouterNormBias, 0);
  add_vector(kRouterRowGain, options.router_init_stddev());
  add_vector(kRouterRowBias, 0);
  return absl::OkStatus();
}

absl::Status ResolveSoftMoe(absl::string_view path, FeedForwardSpec& spec,
                            ModelShape& shape) {
  auto& options = *spec.mutable_soft_moe();
  LORY_RETURN_IF_ERROR(ResolveExperts(path, kNoDensePhase, options, shape));
  LORY_RETURN_IF_ERROR(CheckAllowed(path, "soft_moe", options, shape));
  if (options.slots_per_expert() == 0) {
    options.set_slots_per_expert(static_cast<int32_t>(
        (shape.sequence_length + shape.expert_count - 1) / shape.expert_count));
  }
  LORY_RETURN_IF_ERROR(CheckRange(path, "slots_per_expert",
                                  options.slots_per_expert(), 1,
                                  shape.sequence_length));
  // Every token has a part in every slot.
  shape.active_expert_count = shape.expert_count;
  shape.feed_forward_summary = absl::StrCat(
      Experts(shape), " of ", options.slots_per_expert(), " slots, not causal");
  AddExperts(shape, shape.expert_count);
  // LeCun's; the logits do not depend on the length of a slot's vector.
  Add(shape, kSlots,
      {shape.expert_count, options.slots_per_expert(), shape.width},
      Initialisation::kNormal, 1 / std::sqrt(static_cast<double>(shape.width)));
  Add(shape, kSlotScale, {1}, Initialisation::kConstant, 1);
  return absl::OkStatus();
}

absl::Status ResolveWeightEnsembling(absl::string_view path,
                                     FeedForwardSpec& spec, ModelShape& shape) {
  using Options = ::lory::v1::WeightEnsemblingFeedForward;
  Options& options = *spec.mutable_weight_ensembling();
  LORY_RETURN_IF_ERROR(
      CheckRange(path, "expert_count", options.expert_count(), 1, 256));
  shape.expert_count = options.expert_count();
  if (!Options::Gate_IsValid(options.gate())) {
    return UnknownValue(path, "gate", options.gate());
  }
  if (options.gate() == Options::GATE_UNSPECIFIED) {
    options.set_gate(Options::TWO_LAYERS);
  }
  options.set_initial_weight(OrDefault(options.initial_weight(), 0.3));
  LORY_RETURN_IF_ERROR(
      CheckPositive(path, "initial_weight", options.initial_weight()));
  const bool is_constant = options.gate() == Options::CONSTANT;
  if (is_constant && options.pool_length() != 0) {
    return InvalidField(path, "pool_length",
                        "is of no use with gate: constant; leave it out");
  }
  LORY_RETURN_IF_ERROR(CheckRange(path, "pool_length", options.pool_length(), 0,
                                  shape.sequence_length));
  const bool pools_all =
      !is_constant && (options.pool_length() == 0 ||
                       options.pool_length() == shape.sequence_length);
  if (pools_all) {
    LORY_RETURN_IF_ERROR(CheckAllowed(
        path, "a pool_length of the whole sequence", options, shape));
  }
  LORY_RETURN_IF_ERROR(ResolveRouter(path, 0.01, options));
  shape.merges_experts = true;
  shape.feed_forward_summary = absl::StrCat(
      "a base and ", options.expert_count(), " task vectors weighted ",
      is_constant ? "by constants"
      : pools_all ? "by all of a sequence, not causal"
                  : absl::StrCat("by a sequence's first ",
                                 options.pool_length(), " tokens"));
  AddExperts(shape, 1 + shape.expert_count);
  if (options.gate() == Options::TWO_LAYERS) {
    Add(shape, kRouterHidden, {shape.width, shape.width},
        Initialisation::kNormal, options.router_init_stddev());
    Add(shape, kRouterHiddenBias, {shape.width}, Initialisation::kConstant, 0);
  }
  if (!is_constant) AddRouter(shape, options.router_init_stddev());
  Add(shape, kRouterBias, {shape.expert_count}, Initialisation::kConstant,
      options.initial_weight());
  return absl::OkStatus();
}

// The variants.
struct Variant {
  FeedForwardKind kind;
  absl::Status (*resolve)(absl::string_view path, FeedForwardSpec& spec,
                          ModelShape& shape);
};
constexpr Variant kVariants[] = {
    {FeedForwardKind::kDense, ResolveDense},
    {FeedForwardKind::kLory, ResolveLory},
    {FeedForwardKind::kPrefixRouting, ResolvePrefixRouting},
    {FeedForwardKind::kTokenChoice, ResolveTokenChoice},
    {FeedForwardKind::kExpertChoice, ResolveExpertChoice},
    {FeedForwardKind::kSmear, ResolveSmear},
    {FeedForwardKind::kSoftMoe, ResolveSoftMoe},
    {FeedForwardKind::kWeightEnsembling, ResolveWeightEnsembling},
};

// The field of the variant that is set; null: none is.
const google::protobuf::FieldDescriptor* VariantField(
    const FeedForwardSpec& spec) {
  return FeedForwardSpec::GetReflection()->GetOneofFieldDescriptor(
      spec, FeedForwardSpec::descriptor()->oneof_decl(0));
}

// "dense, lory or prefix_routing".
std::string VariantNames() {
  const auto& fields = *FeedForwardSpec::descriptor()->oneof_decl(0);
  std::string names;
  for (int i = 0; i < fields.field_count(); ++i) {
    const char* before = i == 0 ? "" : ", ";
    if (i > 0 && i + 1 == fields.field_count()) before = " or ";
    absl::StrAppend(&names, before, fields.field(i)->name());
  }
  return names;
}

}  // namespace

absl::Status ResolveFeedForward(const FeedForwardSpec& spec,
                                absl::string_view path, ModelShape& shape) {
  shape.feed_forward = spec.variant_case();
  shape.feed_forward_spec = spec;
  shape.feed_forward_parameters.clear();
  shape.feed_forward_summary.clear();
  shape.expert_count = 0;
  shape.active_expert_count = 0;
  shape.merges_experts = false;
  shape.segment_length = 0;
  shape.dense_fraction = 0;
  shape.is_causal = true;
  for (const Variant& variant : kVariants) {
    if (variant.kind != spec.variant_case()) continue;
    return variant.resolve(absl::StrCat(path, ".", VariantField(spec)->name()),
                           shape.feed_forward_spec, shape);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": no variant is set: choose ", VariantNames()));
}

int64_t SegmentLengthOf(const FeedForwardSpec& spec) {
  const auto* variant = VariantField(spec);
  if (variant == nullptr) return 0;
  const auto& options =
      FeedForwardSpec::GetReflection()->GetMessage(spec, variant);
  const auto* field =
      options.GetDescriptor()->FindFieldByName("segment_length");
  return field == nullptr ? 0
                          : options.GetReflection()->GetInt32(options, field);
}

const std::string& VariantName(const ModelShape& shape) {
  return FeedForwardSpec::descriptor()
      ->FindFieldByNumber(static_cast<int>(shape.feed_forward))
      ->name();
}

void RemoveDensePhase(FeedForwardSpec& spec) {
  const auto* variant = VariantField(spec);
  if (variant == nullptr) return;
  auto& options =
      *FeedForwardSpec::GetReflection()->MutableMessage(&spec, variant);
  const auto* field =
      options.GetDescriptor()->FindFieldByName("dense_fraction");
  if (field != nullptr) options.GetReflection()->SetDouble(&options, field, -1);
}

}  // namespace lory::config
