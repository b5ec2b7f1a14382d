#include "tools/model/hugging_face_config.h"

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace lory::surgery {
namespace {

using ::lory::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

nlohmann::json Small() {
  return {
      {"model_type", "llama"},       {"vocab_size", 100},
      {"hidden_size", 32},           {"intermediate_size", 40},
      {"num_hidden_layers", 2},      {"num_attention_heads", 4},
      {"num_key_value_heads", 2},    {"max_position_embeddings", 64},
      {"rms_norm_eps", 1e-6},        {"rope_theta", 500000.0},
      {"tie_word_embeddings", true}, {"architectures", {"LlamaForCausalLM"}}};
}

// The error of Small() with one value changed.
absl::Status With(const char* key, const nlohmann::json& value) {
  nlohmann::json json = Small();
  json[key] = value;
  return ParseHuggingFaceConfig(json.dump()).status();
}

TEST(HuggingFaceConfig, IsReadWithItsDefaults) {
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig config,
                            ParseHuggingFaceConfig(Small().dump()));
  EXPECT_TRUE(config.has_tied_head);
  EXPECT_EQ(config.spec.key_value_head_count(), 2);
  EXPECT_EQ(config.spec.rotary_base(), 500000);
  EXPECT_EQ(config.spec.norm_epsilon(), 1e-6);
  EXPECT_EQ(config.spec.sequence_length(), 64);
  EXPECT_TRUE(config.spec.feed_forward().has_dense());

  nlohmann::json old = Small();
  for (const char* key :
       {"num_key_value_heads", "rope_theta", "tie_word_embeddings"}) {
    old.erase(key);
  }
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig defaults,
                            ParseHuggingFaceConfig(old.dump()));
  EXPECT_EQ(defaults.spec.key_value_head_count(), 4);
  EXPECT_EQ(defaults.spec.rotary_base(), 10000);
  EXPECT_FALSE(defaults.has_tied_head);
}

TEST(HuggingFaceConfig, TheRotaryBaseMayStandInRopeParameters) {
  nlohmann::json json = Small();
  json.erase("rope_theta");
  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 20000.0}};
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig config,
                            ParseHuggingFaceConfig(json.dump()));
  EXPECT_EQ(config.spec.rotary_base(), 20000);
}

TEST(HuggingFaceConfig, WhatOurModelCannotDoIsRefusedByName) {
  const auto refused = [](const char* key) {
    return StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(key));
  };
  EXPECT_OK(With("rope_scaling", nullptr));
  EXPECT_THAT(With("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}}),
              AllOf(refused("rope_scaling.rope_type"), refused("llama3")));
  EXPECT_THAT(With("rope_scaling", {{"type", "linear"}, {"factor", 2}}),
              refused("rope_scaling.type"));
  EXPECT_THAT(With("attention_bias", true), refused("attention_bias"));
  EXPECT_THAT(With("mlp_bias", true), refused("mlp_bias"));
  EXPECT_THAT(With("model_type", "mistral"), refused("model_type"));
  EXPECT_THAT(With("architectures", {"LlamaForSequenceClassification"}),
              refused("architectures"));
  EXPECT_THAT(With("hidden_act", "gelu"), refused("hidden_act"));
  EXPECT_THAT(With("head_dim", 16), refused("head_dim"));
  EXPECT_OK(With("sliding_window", 1));  // its class has none
  EXPECT_THAT(With("quantization_config", {{"bits", 4}}),
              refused("quantization_config"));
}

TEST(HuggingFaceConfig, WrongNumbersAreRefusedByName) {
  const auto wrong = [](const char* key) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(key));
  };
  EXPECT_THAT(With("vocab_size", -1), wrong("vocab_size"));
  EXPECT_THAT(With("vocab_size", 1e30), wrong("vocab_size"));
  EXPECT_THAT(With("hidden_size", 18446744073709551615u), wrong("hidden_size"));
  EXPECT_THAT(With("hidden_size", "32"), wrong("hidden_size"));
  EXPECT_THAT(With("num_hidden_layers", nullptr), wrong("num_hidden_layers"));
  EXPECT_THAT(With("num_key_value_heads", 3), wrong("key_value_head_count"));
  for (const char* key : {"rms_norm_eps", "rope_theta", "initializer_range"}) {
    // Of these a 32-bit float makes 0 or infinity.
    for (const double number : {0.0, -1.0, 1e308, 3.5e38, 1e-300}) {
      EXPECT_THAT(With(key, number), wrong(key)) << number;
    }
  }
  EXPECT_THAT(With("tie_word_embeddings", 1), wrong("tie_word_embeddings"));
  EXPECT_THAT(ParseHuggingFaceConfig("{").status(), wrong("not a JSON object"));
  EXPECT_THAT(ParseHuggingFaceConfig(std::string(100000, '[')).status(),
              wrong("not a JSON object"));
}

nlohmann::json Mixtral() {
  nlohmann::json json = Small();
  json["model_type"] = "mixtral";
  json["architectures"] = {"MixtralForCausalLM"};
  json["num_local_experts"] = 6;
  json["num_experts_per_tok"] = 3;
  json["router_aux_loss_coef"] = 0.25;
  return json;
}

absl::StatusOr<HuggingFaceConfig> MixtralWith(const char* key,
                                              const nlohmann::json& value) {
  nlohmann::json json = Mixtral();
  json[key] = value;
  return ParseHuggingFaceConfig(json.dump());
}

TEST(HuggingFaceConfig, AMixtralIsTokenChoiceWithRenormalisedWeights) {
  using TokenChoice = lory::v1::TokenChoiceFeedForward;
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig config,
                            ParseHuggingFaceConfig(Mixtral().dump()));
  const TokenChoice& options = config.spec.feed_forward().token_choice();
  EXPECT_EQ(options.expert_count(), 6);
  EXPECT_EQ(options.top_k(), 3);
  EXPECT_EQ(options.weights(), TokenChoice::RENORMALISED);
  EXPECT_EQ(options.balance(), TokenChoice::HF_MIXTRAL);
  EXPECT_EQ(options.balance_coefficient(), 0.25);
  // It is no dense model any more.
  EXPECT_LT(options.dense_fraction(), 0);
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig unbalanced,
                            MixtralWith("router_aux_loss_coef", 0));
  EXPECT_EQ(unbalanced.spec.feed_forward().token_choice().balance(),
            TokenChoice::NONE);
}

TEST(HuggingFaceConfig, WhatAMixtralLeavesOutIsAsInItsClass) {
  nlohmann::json json = Mixtral();
  json["num_attention_heads"] = 16;
  for (const char* key : {"num_key_value_heads", "rope_theta", "rms_norm_eps",
                          "max_position_embeddings", "num_local_experts",
                          "num_experts_per_tok", "router_aux_loss_coef"}) {
    json.erase(key);
  }
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig config,
                            ParseHuggingFaceConfig(json.dump()));
  EXPECT_EQ(config.spec.key_value_head_count(), 8);
  EXPECT_EQ(config.spec.rotary_base(), 1e6);
  EXPECT_EQ(config.spec.norm_epsilon(), 1e-5);
  EXPECT_EQ(config.spec.sequence_length(), 131072);
  const auto& options = config.spec.feed_forward().token_choice();
  EXPECT_EQ(options.expert_count(), 8);
  EXPECT_EQ(options.top_k(), 2);
  EXPECT_EQ(options.balance_coefficient(), 0.001);
}

TEST(HuggingFaceConfig, AMixtralThatOurModelIsNotIsRefusedByName) {
  const auto fails = [](absl::StatusCode code, const char* key) {
    return StatusIs(code, HasSubstr(key));
  };
  constexpr auto kWrong = absl::StatusCode::kInvalidArgument;
  constexpr auto kUnfit = absl::StatusCode::kFailedPrecondition;
  const auto status = [](const char* key, const nlohmann::json& value) {
    return MixtralWith(key, value).status();
  };
  EXPECT_THAT(status("sliding_window", 63), fails(kUnfit, "sliding_window"));
  EXPECT_OK(status("sliding_window", 64));
  EXPECT_OK(status("sliding_window", nullptr));
  EXPECT_THAT(status("sliding_window", "a"), fails(kWrong, "sliding_window"));
  EXPECT_THAT(status("architectures", {"LlamaForCausalLM"}),
              fails(kUnfit, "MixtralForCausalLM"));
  EXPECT_THAT(status("num_experts_per_tok", 7), fails(kWrong, "top_k"));
  EXPECT_THAT(status("num_local_experts", 0),
              fails(kWrong, "num_local_experts"));
  EXPECT_THAT(status("num_local_experts", 257), fails(kWrong, "expert_count"));
  EXPECT_THAT(status("router_aux_loss_coef", -1),
              fails(kWrong, "router_aux_loss_coef"));
}

TEST(HuggingFaceConfig, OnlyTheBalanceLossOfAMixtralIsWritten) {
  using TokenChoice = lory::v1::TokenChoiceFeedForward;
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig config,
                            ParseHuggingFaceConfig(Mixtral().dump()));
  for (const auto& [balance, again] :
       {std::pair(TokenChoice::HF_MIXTRAL, TokenChoice::HF_MIXTRAL),
        std::pair(TokenChoice::SWITCH, TokenChoice::NONE),
        std::pair(TokenChoice::NONE, TokenChoice::NONE)}) {
    lory::v1::ModelSpec spec = config.spec;
    spec.mutable_feed_forward()->mutable_token_choice()->set_balance(balance);
    LORY_ASSERT_OK_AND_ASSIGN(const auto shape,
                              lory::config::ResolveModelShape(spec));
    const std::string text = HuggingFaceConfigJson(shape, {});
    EXPECT_EQ(nlohmann::json::parse(text)["router_aux_loss_coef"],
              balance == TokenChoice::HF_MIXTRAL ? 0.25 : 0.0);
    LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig back,
                              ParseHuggingFaceConfig(text));
    EXPECT_EQ(back.spec.feed_forward().token_choice().balance(), again);
  }
}

TEST(HuggingFaceConfig, DeepNestingIsRefused) {
  std::string text = Small().dump();
  text.pop_back();
  const std::string deep =
      std::string(100'000, '[') + std::string(100'000, ']');
  for (const char* key : {"quantization_config", "anything"}) {
    EXPECT_THAT(
        ParseHuggingFaceConfig(text + ",\"" + key + "\":" + deep + "}")
            .status(),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("deeper")));
  }
}

TEST(HuggingFaceConfig, WhatIsWrittenIsReadBack) {
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig config,
                            ParseHuggingFaceConfig(Small().dump()));
  LORY_ASSERT_OK_AND_ASSIGN(const auto shape,
                            lory::config::ResolveModelShape(config.spec));
  const std::string text =
      HuggingFaceConfigJson(shape, {.token_ids = R"({"eos_token_id":[7,8]})"});
  EXPECT_EQ(nlohmann::json::parse(text)["eos_token_id"],
            nlohmann::json({7, 8}));
  EXPECT_TRUE(nlohmann::json::parse(text)["bos_token_id"].is_null());
  LORY_ASSERT_OK_AND_ASSIGN(const HuggingFaceConfig again,
                            ParseHuggingFaceConfig(text));
  EXPECT_EQ(again.spec.SerializeAsString(), config.spec.SerializeAsString());
  EXPECT_FALSE(again.has_tied_head);
}

}  // namespace
}  // namespace lory::surgery
