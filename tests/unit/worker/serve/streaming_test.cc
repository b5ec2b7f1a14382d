// Several prompts of one request, whose engine works only when the test says.

#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/unit/worker/serve/served.h"
#include "worker/serve/http_api.h"

namespace lory::serve {
namespace {

using ::lory::model::LorySpec;
using ::lory::testing::StatusIs;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int64_t kMade = 5;

struct StreamingTest : ::testing::Test {
  StreamingTest() {
    tokenizer.tokenizer = std::make_unique<LetterTokenizer>();
    tokenizer.end_of_document = "<end>";
    auto made = Engine::Create({}, *served.model, *tokenizer.tokenizer,
                               RealClock(), nullptr);
    EXPECT_OK(made);
    engine = *std::move(made);
    front = std::make_unique<Front>(Front{.model = *served.model,
                                          .tokenizer = tokenizer,
                                          .engine = *engine,
                                          .metrics = metrics,
                                          .clock = RealClock(),
                                          .model_name = "tiny"});
    api = std::make_unique<HttpApi>(*front);
  }

  // A request of three prompts.
  static std::string Body(const char* more) {
    return absl::StrCat(
        R"({"prompt": ["a", "bb", "ccc"], "temperature": 0, "max_tokens": )",
        kMade, more, "}");
  }

  // What a stream writes, when all of it is made.
  std::vector<json> Events(const char* more) const {
    const http::Response response = api->Complete(Body(more));
    while (engine->Step()) {
    }
    std::vector<json> events;
    std::string last;
    response.stream([&](const std::string& piece) {
      if (last = piece.substr(6); last != "[DONE]\n\n") {
        events.push_back(json::parse(last));
      }
      return true;
    });
    EXPECT_EQ(last, "[DONE]\n\n");
    return events;
  }

  Served served{LorySpec()};
  lory::text::TokenizerFile tokenizer;
  ServerMetrics metrics;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Front> front;
  std::unique_ptr<HttpApi> api;
};

TEST_F(StreamingTest, NoPromptWaitsForAnotherToBeWritten) {
  std::vector<int> order;
  std::string texts[3];
  for (const json& event : Events(R"(, "stream": true)")) {
    EXPECT_FALSE(event.contains("usage"));
    const json& choice = event["choices"][0];
    order.push_back(choice["index"]);
    texts[order.back()] += choice["text"].get<std::string>();
  }
  // Each step reads one prompt and makes a token for all that are read.
  ASSERT_THAT(order, SizeIs(3 * kMade));
  order.resize(9);
  EXPECT_THAT(order, ElementsAre(0, 0, 1, 0, 1, 2, 0, 1, 2));
  const std::jthread thread(
      [this](std::stop_token stop) { engine->Run(stop); });
  const json whole = json::parse(api->Complete(Body("")).body);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(whole["choices"][i]["index"], i);
    EXPECT_EQ(whole["choices"][i]["text"], texts[i]);
  }
}

TEST_F(StreamingTest, APieceIsWrittenWhenItIsMade) {
  const http::Response response = api->Complete(Body(R"(, "stream": true)"));
  std::vector<int> order;
  engine->Step();
  // Each event lets the engine work on: none is waited for in vain.
  response.stream([&](const std::string& piece) {
    if (piece != "data: [DONE]\n\n") {
      order.push_back(json::parse(piece.substr(6))["choices"][0]["index"]);
    }
    engine->Step();
    return true;
  });
  EXPECT_THAT(order, SizeIs(3 * kMade));
}

TEST_F(StreamingTest, AStreamEndsWithTheUsageThatItIsAskedFor) {
  std::vector<json> events =
      Events(R"(, "stream": true, "stream_options": {"include_usage": true})");
  const json usage = events.back();
  EXPECT_EQ(usage["choices"], json::array());
  EXPECT_EQ(usage["object"], "text_completion");
  EXPECT_EQ(usage["usage"], json({{"prompt_tokens", 6},
                                  {"completion_tokens", 3 * kMade},
                                  {"total_tokens", 6 + 3 * kMade}}));
  events.pop_back();
  ASSERT_THAT(events, SizeIs(3 * kMade));
  for (const json& event : events) EXPECT_TRUE(event.at("usage").is_null());
  for (const char* without : {"{}", "{\"include_usage\": false}", "null"}) {
    const std::string more =
        absl::StrCat(R"(, "stream": true, "stream_options": )", without);
    EXPECT_FALSE(Events(more.c_str()).back().contains("usage")) << without;
  }
}

TEST_F(StreamingTest, StreamOptionsGoWithAStream) {
  const auto refused = [&](const char* more, const char* words) {
    const http::Response response = api->Complete(Body(more));
    EXPECT_EQ(response.status, 400);
    EXPECT_THAT(response.body, HasSubstr(words)) << more;
  };
  refused(R"(, "stream_options": {"include_usage": true})",
          "stream_options: goes with stream: true alone");
  refused(R"(, "stream": true, "stream_options": {"usage": true})",
          "usage, which is not known");
  refused(R"(, "stream": true, "stream_options": {"include_usage": 1})",
          "not true or false");
  refused(R"(, "stream": true, "stream_options": true)", "is no object");
}

TEST_F(StreamingTest, AnotherModelsNameIsNotFoundAnywhere) {
  for (const auto& [answer, text] :
       {std::pair(&HttpApi::Tokenize, R"({"prompt": "a", "model": ")"),
        {&HttpApi::Detokenize, R"({"tokens": [0], "model": ")"}}) {
    const auto ask = [&, answer = answer, text = text](const char* model) {
      return ((*api).*answer)(absl::StrCat(text, model, "\"}"));
    };
    EXPECT_EQ(ask("tiny").status, 200);
    EXPECT_EQ(ask("other").status, 404);
    EXPECT_THAT(ask("other").body, HasSubstr("this server has tiny alone"));
  }
}

TEST_F(StreamingTest, TokensAreSpelledWhenThatIsAskedFor) {
  const json asked = json::parse(
      api->Tokenize(R"({"prompt": "a<end>b", "return_token_strs": true})")
          .body);
  EXPECT_EQ(asked["token_strs"], json({"a", "<end>", "b"}));
  const json plain = json::parse(api->Tokenize(R"({"prompt": "ab"})").body);
  EXPECT_FALSE(plain.contains("token_strs"));
}

TEST(PieceQueue, WhoWaitsForSeveralWakesForAnyOfThem) {
  const auto pieces = std::make_shared<PieceQueue>();
  Generation first({.tokens = {1}}, pieces, 0);
  Generation second({.tokens = {2}}, pieces, 1);
  EXPECT_FALSE(pieces->Next(absl::ZeroDuration()).has_value());
  const std::jthread maker([&] {
    second.Push(GenerationPiece{.text = "b"});
    first.Push(absl::UnavailableError("the server stops"));
  });
  std::optional<PieceQueue::Entry> entry;
  while (!entry) entry = pieces->Next(absl::Hours(1));
  EXPECT_EQ(entry->index, 1);
  EXPECT_EQ(entry->piece->text, "b");
  for (entry.reset(); !entry;) entry = pieces->Next(absl::Hours(1));
  EXPECT_EQ(entry->index, 0);
  EXPECT_THAT(entry->piece,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("stops")));
}

}  // namespace
}  // namespace lory::serve
