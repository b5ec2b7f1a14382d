// Every variant of the feed-forward as it is served, against its own forward
// pass at inference, as evaluation runs it.

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/log_softmax.h>

#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "gmock/gmock.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/serve/served.h"
#include "worker/serve/app.h"
#include "worker/serve/engine.h"
#include "worker/serve/flags.h"

namespace lory::serve {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::kLength;
using ::lory::model::LorySpec;
using ::lory::testing::NearTensor;
using ::lory::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ExpertChoice = ::lory::v1::ExpertChoiceFeedForward;
using TokenChoice = ::lory::v1::TokenChoiceFeedForward;
using WeightEnsembling = ::lory::v1::WeightEnsemblingFeedForward;

// One thread each: these tensors are too small to share.
struct ServedVariants : ::testing::Test {
  ServedVariants() { at::set_num_threads(1); }
  ~ServedVariants() override { at::set_num_threads(before); }
  const int before = at::get_num_threads();
};

lory::v1::ModelSpec TokenChoiceSpec(int32_t top_k, TokenChoice::Weights how) {
  lory::v1::ModelSpec spec = DenseSpec();
  auto* options = spec.mutable_feed_forward()->mutable_token_choice();
  options->set_expert_count(4);
  options->set_top_k(top_k);
  options->set_weights(how);
  options->set_router_init_stddev(1);
  return spec;
}

lory::v1::ModelSpec ExpertChoiceSpec(double capacity_factor) {
  lory::v1::ModelSpec spec = DenseSpec();
  auto* options = spec.mutable_feed_forward()->mutable_expert_choice();
  options->set_expert_count(4);
  options->set_capacity_factor(capacity_factor);
  options->set_router_init_stddev(1);
  return spec;
}

lory::v1::ModelSpec EnsemblingSpec(WeightEnsembling::Gate gate, int32_t pool) {
  lory::v1::ModelSpec spec = DenseSpec();
  auto* options = spec.mutable_feed_forward()->mutable_weight_ensembling();
  options->set_expert_count(3);
  options->set_gate(gate);
  options->set_pool_length(pool);
  options->set_allow_noncausal(pool == 0);
  options->set_router_init_stddev(0.5);
  return spec;
}

// With mixtures farther apart than its usual start has them.
lory::v1::ModelSpec SmearSpec(int32_t pool) {
  lory::v1::ModelSpec spec = DenseSpec();
  auto* options = spec.mutable_feed_forward()->mutable_smear();
  options->set_expert_count(4);
  options->set_pool_length(pool);
  options->set_allow_noncausal(pool == 0);
  options->set_router_init_stddev(0.5);
  return spec;
}

lory::v1::ModelSpec SoftMoeSpec(int32_t slots) {
  lory::v1::ModelSpec spec = DenseSpec();
  auto* options = spec.mutable_feed_forward()->mutable_soft_moe();
  options->set_expert_count(4);
  options->set_slots_per_expert(slots);
  options->set_allow_noncausal(true);
  return spec;
}

// All that are served but the dense one.
std::vector<lory::v1::ModelSpec> ServedSpecs() {
  std::vector<lory::v1::ModelSpec> specs = lory::model::LeakingSpecs();
  for (const int32_t top_k : {1, 2, 3}) {
    specs.push_back(TokenChoiceSpec(top_k, TokenChoice::RENORMALISED));
    specs.push_back(TokenChoiceSpec(top_k, TokenChoice::PROBABILITY));
    specs.push_back(ExpertChoiceSpec(top_k));
  }
  specs.push_back(SmearSpec(0));
  specs.push_back(SmearSpec(5));
  specs.push_back(EnsemblingSpec(WeightEnsembling::CONSTANT, 0));
  specs.push_back(EnsemblingSpec(WeightEnsembling::LINEAR, 5));
  specs.push_back(EnsemblingSpec(WeightEnsembling::TWO_LAYERS, 5));
  specs.push_back(EnsemblingSpec(WeightEnsembling::TWO_LAYERS, 0));
  specs.push_back(SoftMoeSpec(1));
  specs.push_back(SoftMoeSpec(3));
  specs.push_back(LorySpec(lory::v1::LoryFeedForward::LEARNED));
  return specs;
}

// The token that comes after each; the last one's is any.
std::vector<int64_t> Targets() {
  std::vector<int64_t> targets(kTokens.begin() + 1, kTokens.end());
  targets.push_back(4);
  return targets;
}

at::Tensor TensorOf(std::vector<int64_t>& numbers) {
  return at::from_blob(numbers.data(), {1, kLength}, at::kLong);
}

at::Tensor LossesOf(const at::Tensor& logits_LV) {
  std::vector<int64_t> targets = Targets();
  return -at::log_softmax(logits_LV, -1)
              .gather(1, TensorOf(targets).view({-1, 1}))
              .squeeze(1);
}

// Of a text whose first `prompt` tokens are there before the rest.
at::Tensor EvaluatedLosses(const lory::model::Transformer& model,
                           int64_t prompt, Inference inference) {
  std::vector<int64_t> tokens = kTokens;
  std::vector<int64_t> targets = Targets();
  return model.TokenLosses(TensorOf(tokens), TensorOf(targets),
                           {.prompt_length = prompt,
                            .one_segment = inference == Inference::kPrompt})[0];
}

TEST_F(ServedVariants, TextsTokenByTokenAreTheEvaluatedForwardPass) {
  for (const lory::v1::ModelSpec& spec : ServedSpecs()) {
    SCOPED_TRACE(spec.feed_forward().ShortDebugString());
    const Served served(spec, 3);
    for (const auto inference : {Inference::kPrompt, Inference::kSegment}) {
      for (const int64_t prompt : {1, 3, 4, 7, 12}) {
        EXPECT_THAT(
            LossesOf(TokenByToken(*served.model, prompt, inference)),
            NearTensor(EvaluatedLosses(*served.trained, prompt, inference),
                       2e-5))
            << "a prompt of " << prompt;
      }
    }
  }
}

TEST_F(ServedVariants, AContextDecidesWhereTheTextWouldLookAhead) {
  for (const lory::v1::ModelSpec& spec : ServedSpecs()) {
    SCOPED_TRACE(spec.feed_forward().ShortDebugString());
    const Served served(spec, 3);
    MergedCache cache(*served.model, kPlenty);
    Decoder decoder(*served.model, cache);
    const at::NoGradGuard no_grad;
    for (const auto inference : {Inference::kPrompt, Inference::kSegment}) {
      SequenceState state;
      const PromptPass pass = decoder.ReadPrompt(kTokens, /*routed_count=*/3,
                                                 inference, kLength, state);
      EXPECT_THAT(
          LossesOf(decoder.Logits(pass.hidden_LD)),
          NearTensor(EvaluatedLosses(*served.trained, 3, inference), 2e-5));
    }
  }
}

TEST_F(ServedVariants, TextsTogetherAreTextsAlone) {
  at::set_num_threads(3);
  for (const lory::v1::ModelSpec& spec : ServedSpecs()) {
    SCOPED_TRACE(spec.feed_forward().ShortDebugString());
    const Served served(spec);
    const at::NoGradGuard no_grad;
    MergedCache cache(*served.model, kPlenty);
    Decoder decoder(*served.model, cache);
    std::vector<SequenceState> states(3);
    std::vector<SequenceState*> pointers;
    std::vector<at::Tensor> expected;
    for (const int64_t prompt : {2, 7, 4}) {
      SequenceState& state = states[expected.size()];
      decoder.ReadPrompt(First(prompt), prompt, Inference::kPrompt, kLength,
                         state);
      pointers.push_back(&state);
      expected.push_back(
          TokenByToken(*served.model, prompt, Inference::kPrompt));
    }
    for (int64_t step = 0; step < 5; ++step) {
      std::vector<int64_t> tokens;
      for (const auto& state : states) tokens.push_back(kTokens[state.length]);
      const at::Tensor logits_BV = decoder.Step(pointers, tokens);
      for (size_t i = 0; i < states.size(); ++i) {
        EXPECT_THAT(logits_BV[static_cast<int64_t>(i)],
                    NearTensor(expected[i][states[i].length - 1], 1e-5))
            << "text " << i << ", step " << step;
      }
    }
  }
}

TEST_F(ServedVariants, OnlyWhatIsMergedOrInSlotsTakesMemory) {
  const Served choice(TokenChoiceSpec(2, TokenChoice::RENORMALISED));
  EXPECT_TRUE(choice.model->has_experts());
  EXPECT_EQ(Engine::KeptBytesOf(*choice.model), 0);
  const Served soft(SoftMoeSpec(3));
  const int64_t each = Engine::KeptBytesOf(*soft.model);
  EXPECT_EQ(each, int64_t{2} * 4 * 3 * 4 * soft.model->shape().width);
  const LetterTokenizer tokenizer;
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto engine, Engine::Create({.merged_bytes = 3 * each}, *soft.model,
                                        tokenizer, RealClock(), nullptr));
  EXPECT_EQ(engine->max_active(), 3);
  const Served ensemble(EnsemblingSpec(WeightEnsembling::CONSTANT, 0));
  EXPECT_EQ(Engine::KeptBytesOf(*ensemble.model),
            2 * ensemble.model->LayerBytes());
  // One mixture for all texts: merged once a layer.
  MergedCache cache(*ensemble.model, kPlenty);
  Decoder decoder(*ensemble.model, cache);
  const at::NoGradGuard no_grad;
  for (const int64_t prompt : {3, 5}) {
    SequenceState state;
    decoder.ReadPrompt(First(prompt), prompt, Inference::kPrompt, kLength,
                       state);
  }
  EXPECT_EQ(cache.stats().merges, 2);
  EXPECT_EQ(cache.stats().hits, 2);
}

// Weights of the experts in each unit of a text of ten tokens.
std::vector<std::vector<Routing>> RoutingOf(const lory::v1::ModelSpec& spec,
                                            Inference inference) {
  std::vector<std::vector<Routing>> routing;
  TokenByToken(*Served(spec).model, 10, inference, &routing);
  return routing;
}

TEST_F(ServedVariants, RoutingIsOfTokensSegmentsOrTheWholeText) {
  const auto units = [](const lory::v1::ModelSpec& spec, Inference inference) {
    const auto routing = RoutingOf(spec, inference);
    EXPECT_EQ(routing.size(), 2);
    for (const auto& layer : routing) {
      EXPECT_EQ(layer.size(), routing[0].size());
      for (const Routing& weights : layer) {
        double sum = 0;
        for (const float weight : weights) sum += weight;
        EXPECT_NEAR(sum, 1, 1e-6);
      }
    }
    return routing[0].size();
  };
  const auto choice = TokenChoiceSpec(2, TokenChoice::PROBABILITY);
  EXPECT_EQ(units(choice, Inference::kSegment), 10);
  EXPECT_EQ(units(ExpertChoiceSpec(1), Inference::kSegment), 10);
  EXPECT_EQ(units(lory::model::LeakingSpecs()[2], Inference::kSegment), 3);
  for (const lory::v1::ModelSpec& spec : ServedSpecs()) {
    EXPECT_EQ(units(spec, Inference::kPrompt), 1);
  }
  // Base and task vectors: shares of the latter.
  const auto ensemble = EnsemblingSpec(WeightEnsembling::CONSTANT, 0);
  EXPECT_THAT(RoutingOf(ensemble, Inference::kSegment)[0][0],
              ::testing::Each(::testing::FloatNear(1.0 / 3, 1e-6)));
}

TEST_F(ServedVariants, RoutingOfAPromptIsTheMeanOverItsTokens) {
  for (const auto& spec : {TokenChoiceSpec(2, TokenChoice::RENORMALISED),
                           SoftMoeSpec(2), lory::model::LeakingSpecs()[2]}) {
    const auto each = RoutingOf(spec, Inference::kSegment)[1];
    const auto all = RoutingOf(spec, Inference::kPrompt)[1];
    ASSERT_EQ(all.size(), 1);
    const size_t length = (10 + each.size() - 1) / each.size();
    for (size_t expert = 0; expert < 4; ++expert) {
      double mean = 0;
      for (size_t token = 0; token < 10; ++token) {
        mean += each[token / length][expert] / 10;
      }
      EXPECT_NEAR(all[0][expert], mean, 1e-6) << "expert " << expert;
    }
  }
}

TEST_F(ServedVariants, ARequestThatTheVariantCannotAnswerIsRefused) {
  const auto submit = [](const lory::v1::ModelSpec& spec, Inference inference) {
    const Served served(spec);
    const LetterTokenizer tokenizer;
    auto engine =
        Engine::Create({}, *served.model, tokenizer, RealClock(), nullptr);
    EXPECT_OK(engine);
    return (*engine)
        ->Submit({.tokens = {1, 2}, .inference = inference, .max_tokens = 1})
        .status();
  };
  const auto whole = EnsemblingSpec(WeightEnsembling::TWO_LAYERS, 0);
  EXPECT_THAT(submit(whole, Inference::kSegment),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("inference"), HasSubstr("prompt"))));
  EXPECT_OK(submit(whole, Inference::kPrompt));
  EXPECT_OK(submit(EnsemblingSpec(WeightEnsembling::TWO_LAYERS, 5),
                   Inference::kSegment));
  EXPECT_OK(submit(SoftMoeSpec(2), Inference::kPrompt));
  EXPECT_THAT(submit(SoftMoeSpec(2), Inference::kSegment),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("inference"), HasSubstr("prompt"))));
}

// Each token of what fills slots would have a part in its own score.
TEST_F(ServedVariants, WhatFillsSlotsHasNoScores) {
  const Served served(SoftMoeSpec(2));
  const LetterTokenizer tokenizer;
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto engine,
      Engine::Create({}, *served.model, tokenizer, RealClock(), nullptr));
  const auto score = [&](int64_t routed_count) {
    return engine
        ->Submit({.tokens = {1, 2, 3},
                  .routed_count = routed_count,
                  .score_prompt = true})
        .status();
  };
  for (const int64_t all : {0, 3}) {
    EXPECT_THAT(score(all),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("logprobs"),
                               HasSubstr("Score for a text after a context"))));
  }
  EXPECT_OK(score(2));
  EXPECT_OK(engine->Submit({.tokens = {1, 2}, .max_tokens = 1, .score = true}));
}

// By the flag as by ServedModel: with it the next thing that lacks is named.
TEST_F(ServedVariants, TheFlagSaysWhatFillsTheSlots) {
  const lory::testing::TemporaryFolder folder;
  std::string model =
      lory::surgery::WriteModel(folder.At("model"), SoftMoeSpec(2));
  const auto start = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"lory-server", "--checkpoint", model};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    AppOptions options;
    EXPECT_EQ(ParseFlags(static_cast<int>(arguments.size()), arguments.data(),
                         options),
              std::nullopt);
    return App::Start(options).status();
  };
  for (const auto& flags :
       {std::vector<std::string>{}, {"--soft-moe", "refuse"}}) {
    EXPECT_THAT(start(flags), StatusIs(absl::StatusCode::kFailedPrecondition,
                                       HasSubstr("--soft-moe prompt")));
  }
  EXPECT_THAT(
      start({"--soft-moe", "prompt"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tokenizer")));
}

TEST_F(ServedVariants, SoftMoeIsRefusedUntilSomebodySaysWhatFillsItsSlots) {
  const lory::testing::TemporaryFolder folder;
  const std::string model =
      lory::surgery::WriteModel(folder.At("model"), SoftMoeSpec(2));
  EXPECT_THAT(ServedModel::Open(model),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(model), HasSubstr("slots"),
                             HasSubstr("--soft-moe prompt"),
                             HasSubstr("lory-model eval"))));
  EXPECT_OK(ServedModel::Open(model, SlotFilling::kPrompt));
}

// What was not there when the slots were filled changes nothing before it.
TEST_F(ServedVariants, SlotsOfAPromptLeaveTheRestCausal) {
  const Served served(SoftMoeSpec(3), 3);
  MergedCache cache(*served.model, kPlenty);
  Decoder decoder(*served.model, cache);
  const at::NoGradGuard no_grad;
  const auto read = [&](const std::vector<int64_t>& tokens) {
    SequenceState state;
    return decoder
        .ReadPrompt(tokens, /*routed_count=*/4, Inference::kPrompt, kLength,
                    state)
        .hidden_LD;
  };
  std::vector<int64_t> changed = kTokens;
  changed[8] = 3;
  const at::Tensor before = read(kTokens);
  const at::Tensor after = read(changed);
  EXPECT_THAT(after.narrow(0, 0, 8), NearTensor(before.narrow(0, 0, 8), 1e-6));
  EXPECT_GT((after[8] - before[8]).abs().max().item<float>(), 1e-3);
}

// The last that a request hears of whose files are cut after its first token.
absl::Status EndOfOneWhoseFilesAreCut(const lory::v1::ModelSpec& spec) {
  const Served served(spec);
  const LetterTokenizer tokenizer;
  const auto engine =
      Engine::Create({}, *served.model, tokenizer, RealClock(), nullptr);
  EXPECT_OK(engine);
  const auto generation = (*engine)->Submit({.tokens = {1}, .max_tokens = 9});
  EXPECT_OK(generation);
  EXPECT_TRUE((*engine)->Step());
  for (const auto& entry :
       std::filesystem::directory_iterator(served.folder.At("model"))) {
    if (entry.path().extension() != ".safetensors") continue;
    std::filesystem::resize_file(entry.path(), 100);
  }
  EXPECT_TRUE((*engine)->Step());
  absl::Status last;
  while (const auto piece = (*generation)->Next(absl::ZeroDuration())) {
    last = piece->status();
  }
  return last;
}

TEST_F(ServedVariants, AFileWrittenToWhileTokensAreMadeIsFoundOut) {
  // Experts that tokens go through are read at every step; slots are not.
  EXPECT_THAT(
      EndOfOneWhoseFilesAreCut(TokenChoiceSpec(2, TokenChoice::RENORMALISED)),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("safetensors")));
  EXPECT_OK(EndOfOneWhoseFilesAreCut(SoftMoeSpec(2)));
}

}  // namespace
}  // namespace lory::serve
