#include "tools/model/hugging_face_config.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/float_range.h"
#include "common/base/status_macros.h"
#include "common/data/checkpoint_manifest.h"
#include "common/io/json_text.h"

namespace lory::surgery {
namespace {

using nlohmann::ordered_json;

constexpr char kArchitecture[] = "LlamaForCausalLM";
constexpr char kMixtralArchitecture[] = "MixtralForCausalLM";
constexpr char kOrigin[] = "lory_origin";
constexpr char kTokenizerSha256[] = "lory_tokenizer_sha256";

// What is read, and what its class in transformers takes for a key that
// config.json leaves out.
struct Family {
  const char* model_type;
  const char* architecture;
  bool has_experts;
  int64_t key_value_heads;  // 0: as many as heads
  int64_t context;
  double rotary_base;
  double norm_epsilon;
};
constexpr Family kFamilies[] = {
    {"llama", kArchitecture, false, 0, 2048, 1e4, 1e-6},
    {"mixtral", kMixtralArchitecture, true, 8, 131072, 1e6, 1e-5},
};

absl::Status Wrong(absl::string_view key, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(kConfigFile, ": ", key, " ", what));
}

absl::Status Unsupported(absl::string_view key, const ordered_json& value,
                         absl::string_view want) {
  return absl::FailedPreconditionError(
      absl::StrCat(kConfigFile, ": ", key, " is ", value.dump(),
                   "; only models with ", want, " can be imported"));
}

// Null: missing, or null itself.
const ordered_json* Find(const ordered_json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// A whole number of at least 1, `fallback` where it is missing.
absl::Status ReadInteger(const ordered_json& object, const char* key,
                         std::optional<int64_t> fallback, int64_t* number) {
  const ordered_json* value = Find(object, key);
  if (value == nullptr) {
    if (!fallback) return Wrong(key, "is missing");
    *number = *fallback;
    return absl::OkStatus();
  }
  constexpr int64_t kLargest = int64_t{1} << 30;
  if (!value->is_number_integer() || value->get<double>() < 1 ||
      value->get<double>() > static_cast<double>(kLargest)) {
    return Wrong(key,
                 absl::StrCat("is ", value->dump(),
                              ", not a whole number from 1 to ", kLargest));
  }
  *number = value->get<int64_t>();
  return absl::OkStatus();
}

absl::StatusOr<double> ReadPositive(const ordered_json& object, const char* key,
                                    double fallback) {
  const ordered_json* value = Find(object, key);
  if (value == nullptr) return fallback;
  const double number = value->is_number() ? value->get<double>() : 0;
  if (IsPositiveFloat(number)) return number;
  return Wrong(key,
               absl::StrCat("is ", value->dump(), ", not ", kPositiveFloat));
}

absl::StatusOr<const Family*> FamilyOf(const ordered_json& config) {
  const ordered_json* type = Find(config, "model_type");
  if (type == nullptr) return Wrong("model_type", "is missing");
  for (const Family& family : kFamilies) {
    if (*type != family.model_type) continue;
    const ordered_json* names = Find(config, "architectures");
    if (names != nullptr &&
        *names != ordered_json::array({family.architecture})) {
      return Unsupported("architectures", *names,
                         absl::StrCat("[\"", family.architecture, "\"]"));
    }
    return &family;
  }
  return Unsupported("model_type", *type, "\"llama\" or \"mixtral\"");
}

// `rotary` is rope_scaling, or since transformers 5 rope_parameters.
absl::Status CheckRotary(const char* key, const ordered_json& rotary) {
  if (!rotary.is_object()) return Wrong(key, "is not an object");
  for (const char* type_key : {"rope_type", "type"}) {
    const ordered_json* type = Find(rotary, type_key);
    if (type != nullptr && *type != "default") {
      return Unsupported(absl::StrCat(key, ".", type_key), *type,
                         "rotary positions without scaling");
    }
  }
  const ordered_json* part = Find(rotary, "partial_rotary_factor");
  if (part != nullptr && *part != 1.0) {
    return Unsupported(absl::StrCat(key, ".partial_rotary_factor"), *part,
                       "wholly rotated heads");
  }
  return absl::OkStatus();
}

absl::Status CheckFeatures(const ordered_json& config) {
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    const ordered_json* value = Find(config, bias);
    if (value != nullptr && *value != false) {
      return Unsupported(bias, *value, "no biases");
    }
  }
  if (const ordered_json* act = Find(config, "hidden_act")) {
    if (*act != "silu") return Unsupported("hidden_act", *act, "\"silu\"");
  }
  if (const ordered_json* how = Find(config, "quantization_config")) {
    return Unsupported("quantization_config", *how, "plain numbers");
  }
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const ordered_json* rotary = Find(config, key);
    if (rotary != nullptr) LORY_RETURN_IF_ERROR(CheckRotary(key, *rotary));
  }
  const ordered_json* part = Find(config, "partial_rotary_factor");
  if (part != nullptr && *part != 1.0) {
    return Unsupported("partial_rotary_factor", *part, "wholly rotated heads");
  }
  return absl::OkStatus();
}

// A Mixtral's experts; of others, none.
absl::Status ReadFeedForward(const ordered_json& config, const Family& family,
                             lory::v1::FeedForwardSpec& spec) {
  if (!family.has_experts) {
    spec.mutable_dense();
    return absl::OkStatus();
  }
  auto& options = *spec.mutable_token_choice();
  int64_t experts, top_k;
  LORY_RETURN_IF_ERROR(ReadInteger(config, "num_local_experts", 8, &experts));
  LORY_RETURN_IF_ERROR(ReadInteger(config, "num_experts_per_tok", 2, &top_k));
  options.set_expert_count(static_cast<int32_t>(experts));
  options.set_top_k(static_cast<int32_t>(top_k));
  options.set_weights(lory::v1::TokenChoiceFeedForward::RENORMALISED);
  options.set_dense_fraction(-1);
  const ordered_json* loss = Find(config, "router_aux_loss_coef");
  if (loss != nullptr && *loss == 0.0) {
    options.set_balance(lory::v1::TokenChoiceFeedForward::NONE);
    return absl::OkStatus();
  }
  options.set_balance(lory::v1::TokenChoiceFeedForward::HF_MIXTRAL);
  LORY_ASSIGN_OR_RETURN(const double coefficient,
                        ReadPositive(config, "router_aux_loss_coef", 0.001));
  options.set_balance_coefficient(coefficient);
  return absl::OkStatus();
}

// Without one, or with one as long as the context, all that came is seen.
absl::Status CheckWindow(const ordered_json& config, int64_t context) {
  if (Find(config, "sliding_window") == nullptr) return absl::OkStatus();
  int64_t window;
  LORY_RETURN_IF_ERROR(
      ReadInteger(config, "sliding_window", std::nullopt, &window));
  if (window >= context) return absl::OkStatus();
  return Unsupported("sliding_window", config["sliding_window"],
                     absl::StrCat("none, or one of max_position_embeddings (",
                                  context, ") or more,"));
}

absl::Status ReadSizes(const ordered_json& config, const Family& family,
                       lory::v1::ModelSpec& spec) {
  int64_t vocabulary, layers, width, heads, key_heads, inner, length, head;
  LORY_RETURN_IF_ERROR(
      ReadInteger(config, "vocab_size", std::nullopt, &vocabulary));
  LORY_RETURN_IF_ERROR(
      ReadInteger(config, "num_hidden_layers", std::nullopt, &layers));
  LORY_RETURN_IF_ERROR(
      ReadInteger(config, "hidden_size", std::nullopt, &width));
  LORY_RETURN_IF_ERROR(
      ReadInteger(config, "num_attention_heads", std::nullopt, &heads));
  LORY_RETURN_IF_ERROR(ReadInteger(
      config, "num_key_value_heads",
      family.key_value_heads > 0 ? family.key_value_heads : heads, &key_heads));
  LORY_RETURN_IF_ERROR(
      ReadInteger(config, "intermediate_size", std::nullopt, &inner));
  LORY_RETURN_IF_ERROR(
      ReadInteger(config, "max_position_embeddings", family.context, &length));
  LORY_RETURN_IF_ERROR(ReadInteger(config, "head_dim", width / heads, &head));
  if (head * heads != width) {
    return absl::FailedPreconditionError(absl::StrCat(
        kConfigFile, ": head_dim is ", head, "; only models with heads of ",
        "hidden_size / num_attention_heads can be imported"));
  }
  spec.set_vocabulary_size(vocabulary);
  spec.set_layer_count(static_cast<int32_t>(layers));
  spec.set_width(static_cast<int32_t>(width));
  spec.set_head_count(static_cast<int32_t>(heads));
  spec.set_key_value_head_count(static_cast<int32_t>(key_heads));
  spec.set_feed_forward_width(static_cast<int32_t>(inner));
  spec.set_sequence_length(static_cast<int32_t>(length));
  return absl::OkStatus();
}

bool IsMixtral(const lory::config::ModelShape& shape) {
  return shape.feed_forward == lory::config::FeedForwardKind::kTokenChoice;
}

// What a Mixtral has beside a LLaMA's keys.
void MakeMixtral(const lory::v1::TokenChoiceFeedForward& options,
                 ordered_json& json) {
  json["architectures"] = {kMixtralArchitecture};
  json["model_type"] = "mixtral";
  json.erase("mlp_bias");
  json.erase("attention_bias");
  json["num_local_experts"] = options.expert_count();
  json["num_experts_per_tok"] = options.top_k();
  // Its class knows one balance loss; others' coefficients mean other things.
  json["router_aux_loss_coef"] =
      options.balance() == lory::v1::TokenChoiceFeedForward::HF_MIXTRAL
          ? options.balance_coefficient()
          : 0.0;
  json["router_jitter_noise"] = 0.0;
  json["output_router_logits"] = false;
  json["sliding_window"] = nullptr;
}

}  // namespace

absl::string_view HuggingFaceArchitecture(
    const lory::config::ModelShape& shape) {
  return IsMixtral(shape) ? kMixtralArchitecture : kArchitecture;
}

std::string HuggingFaceConfigJson(const lory::config::ModelShape& shape,
                                  const HuggingFaceConfigNotes& notes) {
  ordered_json json = {{"architectures", {kArchitecture}},
                       {"model_type", "llama"},
                       {"vocab_size", shape.vocabulary_size},
                       {"hidden_size", shape.width},
                       {"intermediate_size", shape.feed_forward_width},
                       {"num_hidden_layers", shape.layer_count},
                       {"num_attention_heads", shape.head_count},
                       {"num_key_value_heads", shape.key_value_head_count},
                       {"head_dim", shape.head_width},
                       {"max_position_embeddings", shape.sequence_length},
                       {"rms_norm_eps", shape.norm_epsilon},
                       {"rope_theta", shape.rotary_base},
                       {"rope_scaling", nullptr},
                       {"hidden_act", "silu"},
                       {"attention_bias", false},
                       {"attention_dropout", 0.0},
                       {"mlp_bias", false},
                       {"tie_word_embeddings", false},
                       {"initializer_range", shape.init_stddev},
                       {"torch_dtype", notes.dtype},
                       {"use_cache", true},
                       {"bos_token_id", nullptr},
                       {"eos_token_id", nullptr},
                       {"pad_token_id", nullptr}};
  if (const auto ids = lory::io::ParseJsonObject(notes.token_ids); ids.ok()) {
    for (const char* key : kTokenIdKeys) {
      if (ids->contains(key)) json[key] = (*ids)[key];
    }
  }
  if (!notes.origin.empty()) json[kOrigin] = notes.origin;
  if (!notes.tokenizer_sha256.empty()) {
    json[kTokenizerSha256] = notes.tokenizer_sha256;
  }
  if (IsMixtral(shape)) {
    MakeMixtral(shape.feed_forward_spec.token_choice(), json);
  }
  return json.dump(2) + "\n";
}

bool HasOrigin(absl::string_view text) {
  const absl::StatusOr<ordered_json> json = lory::io::ParseJsonObject(text);
  // What transformers saves again keeps all keys and gets this one.
  return json.ok() && json->contains(kOrigin) &&
         !json->contains("transformers_version");
}

std::string TokenizerOfOrigin(absl::string_view text) {
  const absl::StatusOr<ordered_json> json = lory::io::ParseJsonObject(text);
  if (!HasOrigin(text) || !json->contains(kTokenizerSha256)) return "";
  const ordered_json& hash = (*json)[kTokenizerSha256];
  if (!hash.is_string()) return "";
  std::string hex = hash.get<std::string>();
  return lory::data::IsSha256Hex(hex) ? hex : "";
}

absl::StatusOr<HuggingFaceConfig> ParseHuggingFaceConfig(
    absl::string_view text) {
  const absl::StatusOr<ordered_json> parsed = lory::io::ParseJsonObject(text);
  if (!parsed.ok()) return Wrong("its text", parsed.status().message());
  const ordered_json& json = *parsed;
  LORY_ASSIGN_OR_RETURN(const Family* const family, FamilyOf(json));
  LORY_RETURN_IF_ERROR(CheckFeatures(json));
  HuggingFaceConfig config;
  LORY_RETURN_IF_ERROR(ReadSizes(json, *family, config.spec));
  if (family->has_experts) {  // LlamaForCausalLM looks at no window
    LORY_RETURN_IF_ERROR(CheckWindow(json, config.spec.sequence_length()));
  }
  LORY_RETURN_IF_ERROR(
      ReadFeedForward(json, *family, *config.spec.mutable_feed_forward()));
  LORY_ASSIGN_OR_RETURN(double base,
                        ReadPositive(json, "rope_theta", family->rotary_base));
  if (const ordered_json* rotary = Find(json, "rope_parameters")) {
    LORY_ASSIGN_OR_RETURN(base, ReadPositive(*rotary, "rope_theta", base));
  }
  config.spec.set_rotary_base(base);
  LORY_ASSIGN_OR_RETURN(
      const double epsilon,
      ReadPositive(json, "rms_norm_eps", family->norm_epsilon));
  config.spec.set_norm_epsilon(epsilon);
  LORY_ASSIGN_OR_RETURN(const double stddev,
                        ReadPositive(json, "initializer_range", 0.02));
  config.spec.set_init_stddev(stddev);
  if (const ordered_json* tied = Find(json, "tie_word_embeddings")) {
    if (!tied->is_boolean()) {
      return Wrong("tie_word_embeddings", "is neither true nor false");
    }
    config.has_tied_head = tied->get<bool>();
  }
  const auto shape = lory::config::ResolveModelShape(config.spec);
  if (!shape.ok()) return Annotate(shape.status(), kConfigFile);
  return config;
}

}  // namespace lory::surgery
