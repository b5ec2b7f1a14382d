#include "worker/serve/engine.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "gmock/gmock.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/worker/serve/served.h"

namespace lory::serve {
namespace {

using ::lory::model::kLength;
using ::lory::model::LorySpec;
using ::lory::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Answer {
  std::vector<int64_t> tokens;
  std::string text;
  std::optional<FinishReason> finish;
  absl::Status status;
};

struct EngineTest : ::testing::Test {
  std::unique_ptr<Engine> Make(Engine::Options options = {}) {
    auto made =
        Engine::Create(options, *served.model, tokenizer, clock, nullptr);
    EXPECT_OK(made);
    return *std::move(made);
  }

  static GenerationRequest Ask(std::vector<int64_t> tokens,
                               int64_t max_tokens = 5) {
    return {.tokens = std::move(tokens), .max_tokens = max_tokens};
  }

  // All that has come so far.
  static Answer Take(Generation& generation) {
    Answer answer;
    while (true) {
      auto piece = generation.Next(absl::ZeroDuration());
      if (!piece) return answer;
      if (!piece->ok()) {
        answer.status = piece->status();
        return answer;
      }
      const GenerationPiece& got = **piece;
      answer.tokens.insert(answer.tokens.end(), got.tokens.begin(),
                           got.tokens.end());
      answer.text += got.text;
      answer.finish = got.finish;
    }
  }

  Answer Alone(GenerationRequest request) {
    const auto engine = Make();
    const auto generation = engine->Submit(std::move(request));
    EXPECT_OK(generation);
    while (engine->Step()) {
    }
    return Take(**generation);
  }

  Served served{LorySpec()};
  LetterTokenizer tokenizer;
  lory::testing::FakeClock clock;
};

TEST_F(EngineTest, RequestsTogetherGetWhatEachGetsAlone) {
  std::vector<GenerationRequest> requests = {
      Ask({1, 2, 3}), Ask({1, 2, 3}), Ask({4}, 9), Ask({5, 6, 7, 8, 9}, 2)};
  requests[1].sampling = {.temperature = 1, .seed = 3};
  requests[2].inference = Inference::kSegment;
  const auto engine = Make({.max_active = 3});
  std::vector<std::shared_ptr<Generation>> open;
  for (const auto& request : requests) {
    LORY_ASSERT_OK_AND_ASSIGN(open.emplace_back(), engine->Submit(request));
  }
  while (engine->Step()) {
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const Answer together = Take(*open[i]);
    const Answer alone = Alone(requests[i]);
    EXPECT_OK(together.status);
    EXPECT_TRUE(together.finish.has_value());
    EXPECT_EQ(together.tokens, alone.tokens) << i;
    EXPECT_EQ(together.text, alone.text) << i;
  }
}

TEST_F(EngineTest, ThePromptIsScoredAndRoutedWithoutMakingTokens) {
  GenerationRequest request = Ask({1, 2, 3, 4, 5, 6}, 0);
  request.inference = Inference::kSegment;
  request.score_prompt = true;
  request.top_count = 2;
  request.wants_routing = true;
  const auto engine = Make();
  LORY_ASSERT_OK_AND_ASSIGN(const auto open, engine->Submit(request));
  EXPECT_TRUE(engine->Step());
  EXPECT_FALSE(engine->Step());
  auto piece = open->Next(absl::ZeroDuration());
  ASSERT_TRUE(piece.has_value() && piece->ok());
  EXPECT_EQ((*piece)->prompt_scores.size(), 5);
  EXPECT_EQ((*piece)->prompt_scores[0].token, 2);
  EXPECT_LT((*piece)->prompt_scores[0].log_probability, 0);
  EXPECT_EQ((*piece)->prompt_scores[0].top.size(), 2);
  ASSERT_EQ((*piece)->routing.size(), 2);        // layers
  EXPECT_EQ((*piece)->routing[0].size(), 2);     // segments
  EXPECT_EQ((*piece)->routing[0][0].size(), 4);  // experts
  EXPECT_TRUE((*piece)->tokens.empty());
  EXPECT_EQ((*piece)->finish, FinishReason::kLength);
}

TEST_F(EngineTest, CancellingMakesRoomBeforeTheNextStep) {
  const auto engine = Make({.max_active = 1});
  LORY_ASSERT_OK_AND_ASSIGN(const auto first, engine->Submit(Ask({1}, 10)));
  LORY_ASSERT_OK_AND_ASSIGN(const auto second, engine->Submit(Ask({2}, 10)));
  LORY_ASSERT_OK_AND_ASSIGN(const auto third, engine->Submit(Ask({3}, 2)));
  engine->Step();
  EXPECT_EQ(Take(*first).tokens.size(), 2);
  first->Cancel();
  second->Cancel();
  engine->Step();
  EXPECT_THAT(Take(*first).status,
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("cancelled")));
  EXPECT_THAT(Take(*second).status,
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("cancelled")));
  EXPECT_EQ(Take(*third).tokens.size(), 2);
  EXPECT_FALSE(engine->Step());
}

TEST_F(EngineTest, ADeadlineEndsTheWork) {
  const auto engine = Make();
  GenerationRequest request = Ask({1}, 10);
  request.deadline = clock.MonotonicNow() + absl::Seconds(1);
  LORY_ASSERT_OK_AND_ASSIGN(const auto open, engine->Submit(request));
  engine->Step();
  clock.Advance(absl::Seconds(2));
  engine->Step();
  EXPECT_THAT(Take(*open).status, StatusIs(absl::StatusCode::kDeadlineExceeded,
                                           HasSubstr("longer")));
  EXPECT_FALSE(engine->Step());
}

TEST_F(EngineTest, AFullQueueRefuses) {
  const auto engine = Make({.max_active = 1, .max_queued = 1});
  const auto is_refused =
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("--max-queued"));
  EXPECT_OK(engine->Submit(Ask({1})));  // can begin at once
  EXPECT_OK(engine->Submit(Ask({1})));  // waits
  EXPECT_THAT(engine->Submit(Ask({1})), is_refused);
  engine->Step();
  EXPECT_THAT(engine->Submit(Ask({1})), is_refused);
  while (engine->Step()) {
  }
  EXPECT_OK(engine->Submit(Ask({1})));
}

TEST_F(EngineTest, WhatTheModelCannotDoIsRefusedByField) {
  const auto engine = Make();
  const auto refused = [&](GenerationRequest request, const char* words) {
    EXPECT_THAT(engine->Submit(std::move(request)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words)));
  };
  refused(Ask({}), "prompt: is empty");
  refused(Ask({1, 19}), "prompt: token 19");
  refused(Ask({-1}), "prompt: token -1");
  refused(Ask(std::vector<int64_t>(kLength + 1, 1), 0), "context is 12");
  refused(Ask({1, 2}, 11), "max_tokens: 11 is not 0 to 10");
  refused(Ask({1}, INT64_MAX), "max_tokens");
  GenerationRequest request = Ask({1});
  request.sampling = {.temperature = NAN, .top_p = 2, .top_k = -1};
  request.stops = {""};
  request.top_count = 21;
  for (const char* field :
       {"temperature", "top_p", "top_k", "stop", "logprobs"}) {
    refused(request, field);
  }
}

TEST_F(EngineTest, AStopTextEndsTheAnswerBeforeIt) {
  const Answer whole = Alone(Ask({1, 2, 3}, 9));
  ASSERT_GE(whole.text.size(), 4);
  GenerationRequest request = Ask({1, 2, 3}, 9);
  request.stops = {whole.text.substr(2, 2)};
  const Answer stopped = Alone(request);
  EXPECT_EQ(stopped.text,
            whole.text.substr(0, whole.text.find(request.stops[0])));
  EXPECT_EQ(stopped.finish, FinishReason::kStop);
}

TEST_F(EngineTest, EveryEndOfTheModelEndsTheAnswer) {
  const Answer whole = Alone(Ask({1, 2, 3}, 9));
  ASSERT_GE(whole.tokens.size(), 4);
  const int64_t end = whole.tokens[2];
  const auto engine = Make({.end_tokens = {end, 1 << 20}});
  LORY_ASSERT_OK_AND_ASSIGN(const auto open, engine->Submit(Ask({1, 2, 3}, 9)));
  while (engine->Step()) {
  }
  const Answer answer = Take(*open);
  const auto first = std::find(whole.tokens.begin(), whole.tokens.end(), end);
  EXPECT_EQ(answer.tokens,
            std::vector<int64_t>(whole.tokens.begin(), std::next(first)));
  EXPECT_EQ(answer.text, whole.text.substr(0, answer.tokens.size()));
  EXPECT_EQ(answer.finish, FinishReason::kStop);
}

TEST_F(EngineTest, MergedWeightsStayWithinTheirBudget) {
  const int64_t each = Engine::KeptBytesOf(*served.model);
  EXPECT_THAT(Engine::Create({.merged_bytes = each - 1}, *served.model,
                             tokenizer, clock, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(std::to_string(each))));
  struct Watcher final : EngineObserver {
    void PromptRead(int64_t, absl::Duration) override {}
    void TokensMade(int64_t) override {}
    void Stepped(const State& state) override {
      most = std::max(most, state.merged.bytes);
      most_active = std::max(most_active, state.active);
    }
    int64_t most = 0, most_active = 0;
  } watcher;
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto engine,
      Engine::Create({.merged_bytes = 2 * each}, *served.model, tokenizer,
                     clock, &watcher));
  for (int64_t i = 0; i < 6; ++i) {
    GenerationRequest request = Ask({i, i + 1}, 9);
    request.inference = i % 2 == 0 ? Inference::kPrompt : Inference::kSegment;
    EXPECT_OK(engine->Submit(request));
  }
  while (engine->Step()) {
  }
  EXPECT_EQ(watcher.most, 2 * each);
  EXPECT_LE(watcher.most_active, 2);
}

TEST_F(EngineTest, AsManyRequestsAreTakenAsThereAreThreads) {
  const auto create = [&](int64_t active, int64_t queued) {
    return Engine::Create({.max_active = active, .max_queued = queued},
                          *served.model, tokenizer, clock, nullptr)
        .status();
  };
  EXPECT_OK(create(52, 200));
  for (const auto& [active, queued] :
       {std::pair<int64_t, int64_t>(53, 200), {8, INT64_MAX}, {1024, 32}}) {
    EXPECT_THAT(create(active, queued),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("--max-queued"), HasSubstr("252"))));
  }
}

TEST_F(EngineTest, NothingIsMadeOfExpertsThatWereWrittenOver) {
  namespace fs = std::filesystem;
  const auto engine = Make();
  GenerationRequest by_segments = Ask({1, 2, 3}, 9);
  by_segments.inference = Inference::kSegment;
  LORY_ASSERT_OK_AND_ASSIGN(const auto begun, engine->Submit(by_segments));
  engine->Step();
  EXPECT_OK(Take(*begun).status);
  for (const auto& entry : fs::directory_iterator(served.folder.At("model"))) {
    fs::last_write_time(entry,
                        fs::last_write_time(entry) + std::chrono::seconds(1));
  }
  const auto is_refused = StatusIs(absl::StatusCode::kDataLoss,
                                   HasSubstr("start lory-server again"));
  engine->Step();
  EXPECT_THAT(Take(*begun).status, is_refused);
  EXPECT_THAT(Alone(Ask({1, 2, 3})).status, is_refused);
}

// Letters up to "d" alone: the model has more ids.
struct ShortTokenizer final : lory::text::Tokenizer {
  int64_t vocabulary_size() const override { return 4; }
  int32_t end_of_document_id() const override { return -1; }
  bool HasToken(int32_t id) const override { return id < 4 && id != 2; }
  std::vector<int32_t> Encode(absl::string_view) const override { return {}; }
  std::string Decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      EXPECT_TRUE(HasToken(id)) << id;
      text += static_cast<char>('a' + id);
    }
    return text;
  }
};

TEST_F(EngineTest, IdsWithoutATokenAreNeverMade) {
  const ShortTokenizer few;
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto made, Engine::Create({}, *served.model, few, clock, nullptr));
  for (const double temperature : {0.0, 1.0, 50.0}) {
    LORY_ASSERT_OK_AND_ASSIGN(
        const auto generation,
        made->Submit({.tokens = {17, 9},  // as others may name them
                      .max_tokens = 10,
                      .sampling = {.temperature = temperature, .seed = 3},
                      .score = true,
                      .top_count = 19}));
    while (made->Step()) {
    }
    int64_t count = 0;
    bool finished = false;
    while (!finished) {
      LORY_ASSERT_OK_AND_ASSIGN(const GenerationPiece piece,
                                *generation->Next(absl::ZeroDuration()));
      for (const int64_t token : piece.tokens) {
        EXPECT_TRUE(token == 0 || token == 1 || token == 3) << token;
      }
      // Scores are the model's own, of all its ids.
      for (const TokenScore& score : piece.scores) {
        EXPECT_EQ(score.top.size(), 19);
      }
      count += static_cast<int64_t>(piece.tokens.size());
      finished = piece.finish.has_value();
    }
    EXPECT_EQ(count, 10);
  }
}

TEST_F(EngineTest, WhenItStopsOpenRequestsEnd) {
  const auto engine = Make();
  LORY_ASSERT_OK_AND_ASSIGN(const auto open, engine->Submit(Ask({1})));
  std::stop_source stop;
  stop.request_stop();
  engine->Run(stop.get_token());
  EXPECT_THAT(Take(*open).status,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("stops")));
  EXPECT_THAT(engine->Submit(Ask({1})),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("stops")));
}

}  // namespace
}  // namespace lory::serve
