#include "worker/serve/decoder.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/log.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "tests/support/tensor_matchers.h"
#include "tests/unit/worker/serve/served.h"
#include "worker/model/merge_experts.h"

namespace lory::serve {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::kLength;
using ::lory::model::kSegment;
using ::lory::model::LorySpec;
using ::lory::testing::NearTensor;
using ::lory::v1::LoryFeedForward;

constexpr double kTolerance = 1e-5;
at::Tensor TrainedLogits(const lory::model::Transformer& model) {
  std::vector<int64_t> copy = kTokens;
  const at::NoGradGuard no_grad;
  return model.Logits(at::from_blob(copy.data(), {1, kLength}, at::kLong))[0];
}

TEST(Decoder, OfADenseModelIsTheWholeForwardPass) {
  const Served served(DenseSpec());
  const at::Tensor expected = TrainedLogits(*served.trained);
  for (const int64_t prompt : {1, 5, 12}) {
    EXPECT_THAT(TokenByToken(*served.model, prompt, Inference::kPrompt),
                NearTensor(expected, kTolerance))
        << prompt;
  }
}

TEST(Decoder, BySegmentsIsTheTrainedModel) {
  // With a prompt of a segment or more, whatever the policy.
  const Served served(LorySpec());
  const at::Tensor expected = TrainedLogits(*served.trained);
  for (const int64_t prompt : {kSegment, kSegment + 1, int64_t{8}, kLength}) {
    EXPECT_THAT(TokenByToken(*served.model, prompt, Inference::kSegment),
                NearTensor(expected, kTolerance))
        << prompt;
  }
}

TEST(Decoder, BySegmentsFromTheFirstTokenWhereThePolicyIsCausal) {
  for (const auto policy :
       {LoryFeedForward::UNIFORM, LoryFeedForward::LEARNED}) {
    const Served served(LorySpec(policy), 5);
    EXPECT_THAT(TokenByToken(*served.model, 1, Inference::kSegment),
                NearTensor(TrainedLogits(*served.trained), kTolerance));
  }
}

TEST(Decoder, AShortPromptDecidesForTheRestOfItsSegment) {
  const Served served(LorySpec());
  std::vector<std::vector<Routing>> routing;
  const at::Tensor logits =
      TokenByToken(*served.model, 2, Inference::kSegment, &routing);
  // The same model whose first segments are given that routing.
  const auto fixed = lory::model::MakeModel(LorySpec(LoryFeedForward::LEARNED));
  const at::NoGradGuard no_grad;
  for (const auto& parameter : served.trained->parameters().parameters()) {
    fixed->parameters().Get(parameter.name).copy_(parameter.value);
  }
  for (int64_t i = 0; i < 2; ++i) {
    const Routing& weights = routing[i][0];
    fixed->parameters()
        .Get(absl::StrCat(lory::config::LayerPrefix(i),
                          lory::config::kFirstSegment))
        .copy_(at::log(at::tensor(weights)));
  }
  EXPECT_THAT(logits, NearTensor(TrainedLogits(*fixed), kTolerance));
}

TEST(Decoder, ByPromptIsTheModelMergedUnderThePromptsRouting) {
  for (const auto policy :
       {LoryFeedForward::SELF_STOP_GRADIENT, LoryFeedForward::LEARNED}) {
    const Served served(LorySpec(policy), 3);
    for (const int64_t prompt : {1, 3, 6, 12}) {
      LORY_ASSERT_OK_AND_ASSIGN(
          const auto routing,
          lory::model::PromptRouting(
              *served.trained, {First(prompt).begin(), First(prompt).end()}));
      LORY_ASSERT_OK_AND_ASSIGN(
          const auto dense,
          lory::model::MergeExperts(*served.trained, routing));
      EXPECT_THAT(TokenByToken(*served.model, prompt, Inference::kPrompt),
                  NearTensor(TrainedLogits(*dense), kTolerance))
          << prompt;
    }
  }
}

TEST(Decoder, OnlyTheRoutedTokensDecideTheRouting) {
  const Served served(LorySpec());
  const at::NoGradGuard no_grad;
  MergedCache cache(*served.model, kPlenty);
  Decoder decoder(*served.model, cache);
  SequenceState state;
  const PromptPass pass =
      decoder.ReadPrompt(First(kLength), 5, Inference::kPrompt, kLength, state);
  EXPECT_THAT(decoder.Logits(pass.hidden_LD),
              NearTensor(TokenByToken(*served.model, 5, Inference::kPrompt),
                         kTolerance));
}

TEST(Decoder, TextsTogetherAreTextsAlone) {
  const Served served(LorySpec());
  const at::NoGradGuard no_grad;
  MergedCache cache(*served.model, kPlenty);
  Decoder decoder(*served.model, cache);
  const std::vector<std::pair<int64_t, Inference>> texts = {
      {1, Inference::kPrompt},
      {7, Inference::kSegment},
      {4, Inference::kSegment},
      {7, Inference::kPrompt},
      {7, Inference::kPrompt}};
  std::vector<SequenceState> states(texts.size());
  std::vector<SequenceState*> pointers;
  std::vector<at::Tensor> expected;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto& [prompt, inference] = texts[i];
    decoder.ReadPrompt(First(prompt), prompt, inference, kLength, states[i]);
    pointers.push_back(&states[i]);
    expected.push_back(TokenByToken(*served.model, prompt, inference));
  }
  for (int64_t step = 0; step < 5; ++step) {
    std::vector<int64_t> tokens;
    for (const auto& state : states) tokens.push_back(kTokens[state.length]);
    const at::Tensor logits_BV = decoder.Step(pointers, tokens);
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_THAT(logits_BV[static_cast<int64_t>(i)],
                  NearTensor(expected[i][texts[i].first + step], kTolerance))
          << "text " << i << ", step " << step;
    }
  }
}

TEST(MergedCache, KeepsWithinItsBudgetAndSparesWhatIsInUse) {
  const Served served(LorySpec());
  const ServedModel& model = *served.model;
  MergedCache cache(model, 2 * model.LayerBytes());
  const Routing a = {1, 0, 0, 0}, b = {0, 1, 0, 0}, c = {0, 0, 1, 0};
  const SharedWeights held = cache.Get(0, a);
  cache.Get(0, b);
  EXPECT_EQ(cache.stats().bytes, 2 * model.LayerBytes());
  cache.Get(0, c);  // drops b, not a
  EXPECT_EQ(cache.stats().bytes, 2 * model.LayerBytes());
  EXPECT_EQ(cache.Get(0, a), held);
  EXPECT_EQ(cache.stats().hits, 1);
  cache.Get(0, b);
  EXPECT_EQ(cache.stats().merges, 4);
  EXPECT_EQ(cache.stats().bytes, 2 * model.LayerBytes());
  cache.Get(1, a);  // another layer's
  EXPECT_EQ(cache.stats().merges, 5);
}

TEST(Decoder, OfALoryJobsDensePhaseIsTheDenseModel) {
  Served served(DenseSpec());
  // As that job's trainer writes it: the spec is the job's, the weights are the
  // dense model's until its step 5.
  const std::string path = served.folder.At("model/manifest.json");
  const auto reopen = [&](int64_t step) {
    std::ifstream in(path);
    nlohmann::json manifest = nlohmann::json::parse(in);
    manifest["step"] = step;
    manifest["spec"]["step_count"] = 10;
    manifest["spec"]["model"]["feed_forward"] = {{"lory",
                                                  {{"expert_count", 4},
                                                   {"segment_length", kSegment},
                                                   {"dense_fraction", 0.5}}}};
    std::ofstream(path) << manifest;
    return ServedModel::Open(served.folder.At("model"));
  };
  LORY_ASSERT_OK_AND_ASSIGN(const auto model, reopen(4));
  EXPECT_FALSE(model->has_experts());
  for (const auto inference : {Inference::kPrompt, Inference::kSegment}) {
    EXPECT_THAT(TokenByToken(*model, 5, inference),
                NearTensor(TrainedLogits(*served.trained), kTolerance));
  }
  // From step 5 there are to be experts.
  EXPECT_THAT(reopen(5),
              ::lory::testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                        ::testing::HasSubstr("experts")));
}

TEST(ServedModel, TellsWhetherItsFilesAreWhatWasOpened) {
  const Served served(LorySpec());
  const Served dense(DenseSpec());
  namespace fs = std::filesystem;
  const auto part = [](const Served& of) {
    for (const auto& entry : fs::directory_iterator(of.folder.At("model"))) {
      if (entry.path().extension() == ".safetensors") return entry.path();
    }
    return fs::path();
  };
  EXPECT_OK(served.model->CheckFiles());
  const auto written = fs::last_write_time(part(served));
  // Replaced: what is mapped stays.
  const Served other(LorySpec());
  fs::copy_file(part(other), other.folder.At("copy"));
  fs::rename(other.folder.At("copy"), part(other));
  EXPECT_OK(other.model->CheckFiles());
  // Written into: as long as before, or cut.
  fs::last_write_time(part(served), written + std::chrono::seconds(1));
  const auto is_changed = ::lory::testing::StatusIs(
      absl::StatusCode::kDataLoss, ::testing::HasSubstr(part(served).string()));
  EXPECT_THAT(served.model->CheckFiles(), is_changed);
  fs::last_write_time(part(served), written);
  EXPECT_OK(served.model->CheckFiles());
  fs::resize_file(part(served), 100);
  fs::last_write_time(part(served), written);
  EXPECT_THAT(served.model->CheckFiles(), is_changed);
  fs::resize_file(part(dense), 100);
  EXPECT_OK(dense.model->CheckFiles());
}

TEST(ServedModel, IsDenseOrHasExpertsAndNamesWhatIsNoCheckpoint) {
  const Served dense(DenseSpec());
  EXPECT_FALSE(dense.model->has_experts());
  EXPECT_EQ(Served(LorySpec()).model->shape().expert_count, 4);
  EXPECT_THAT(ServedModel::Open(dense.folder.At("none")),
              ::lory::testing::StatusIs(absl::StatusCode::kNotFound,
                                        ::testing::HasSubstr("none")));
  const std::string damaged = dense.folder.At("model");
  for (const auto& entry : std::filesystem::directory_iterator(damaged)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::filesystem::resize_file(entry.path(), 100);
  }
  EXPECT_THAT(ServedModel::Open(damaged),
              ::lory::testing::StatusIs(
                  absl::StatusCode::kDataLoss,
                  ::testing::AllOf(::testing::HasSubstr(damaged),
                                   ::testing::HasSubstr("checkpoint list"))));
}

}  // namespace
}  // namespace lory::serve
