// Marks around prompts (`<s>`), on both faces of the server.

#include <grpcpp/create_channel.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/rpc/server.h"
#include "common/rpc/status_convert.h"
#include "gmock/gmock.h"
#include "tests/unit/worker/serve/served.h"
#include "worker/serve/http_api.h"
#include "worker/serve/inference_service.h"

namespace lory::serve {
namespace {

using ::lory::v1::InferenceService;
using nlohmann::json;

// Letters, where <begin> stands before a text.
struct MarkedTokenizer final : lory::text::Tokenizer {
  static constexpr int32_t kBegin = 17;

  int64_t vocabulary_size() const override { return letters.vocabulary_size(); }
  int32_t end_of_document_id() const override {
    return letters.end_of_document_id();
  }
  lory::text::TextMarks marks() const override {
    return {.before = {kBegin}, .after = {}};
  }
  std::string begin_of_text() const override { return "<begin>"; }
  std::vector<int32_t> Encode(absl::string_view text) const override {
    return letters.Encode(text.empty() ? "" : absl::StrCat(dummy_prefix, text));
  }
  std::string Decode(const std::vector<int32_t>& ids) const override {
    std::vector<int32_t> shown;
    for (const int32_t id : ids) {
      if (id != kBegin) shown.push_back(id);
    }
    return letters.Decode(shown);
  }

  LetterTokenizer letters;
  // As SentencePiece's, before whatever is encoded.
  std::string dummy_prefix;
};

struct PromptMarksTest : ::testing::Test {
  PromptMarksTest() {
    auto marked = std::make_unique<MarkedTokenizer>();
    letters = marked.get();
    tokenizer.tokenizer = std::move(marked);
    tokenizer.end_of_document = "<end>";
    auto made = Engine::Create({}, *served.model, *tokenizer.tokenizer,
                               RealClock(), &metrics);
    EXPECT_OK(made);
    engine = *std::move(made);
    front = std::make_unique<Front>(Front{.model = *served.model,
                                          .tokenizer = tokenizer,
                                          .engine = *engine,
                                          .metrics = metrics,
                                          .clock = RealClock()});
    api = std::make_unique<HttpApi>(*front);
    service = std::make_unique<InferenceServiceRpc>(*front);
    thread = std::jthread([this](std::stop_token stop) { engine->Run(stop); });
    auto started =
        rpc::Server::Start({.address = "127.0.0.1:0"}, {service.get()});
    EXPECT_OK(started);
    server = *std::move(started);
    stub = InferenceService::NewStub(grpc::CreateChannel(
        server->address(), grpc::InsecureChannelCredentials()));
  }

  // What is served greedily for `prompt`, JSON, with more fields.
  json Complete(const std::string& prompt, const std::string& more = "") const {
    const http::Response response = api->Complete(
        absl::StrCat(R"({"temperature": 0, "max_tokens": 5, "prompt": )",
                     prompt, more, "}"));
    EXPECT_EQ(response.status, 200) << response.body;
    json answer = json::parse(response.body);
    return {{"prompt_tokens", answer["usage"]["prompt_tokens"]},
            {"choices", answer["choices"]}};
  }

  json Tokens(const std::string& body) const {
    return json::parse(api->Tokenize(body).body)["tokens"];
  }

  lory::v1::ScoreResponse Score(const lory::v1::ScoreRequest& request) const {
    lory::v1::ScoreResponse scored;
    grpc::ClientContext context;
    EXPECT_OK(rpc::FromGrpc(stub->Score(&context, request, &scored)));
    return scored;
  }

  Served served{lory::model::LorySpec()};
  lory::text::TokenizerFile tokenizer;
  MarkedTokenizer* letters = nullptr;
  ServerMetrics metrics;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Front> front;
  std::unique_ptr<HttpApi> api;
  std::unique_ptr<InferenceServiceRpc> service;
  std::jthread thread;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<InferenceService::Stub> stub;
};

constexpr char kWithout[] = R"(, "add_special_tokens": false)";

TEST_F(PromptMarksTest, StandBeforeTextsAndNotBeforeTokens) {
  const json marked = Complete(R"("abc")");
  EXPECT_EQ(marked["prompt_tokens"], 4);
  EXPECT_EQ(marked, Complete("[[17, 0, 1, 2]]"));
  EXPECT_EQ(marked, Complete(R"("abc")", R"(, "add_special_tokens": true)"));
  const json bare = Complete(R"("abc")", kWithout);
  EXPECT_EQ(bare["prompt_tokens"], 3);
  EXPECT_EQ(bare, Complete("[[0, 1, 2]]"));
  EXPECT_EQ(Complete(R"(["abc", ""])")["prompt_tokens"], 5);
  EXPECT_EQ(
      api->Complete(R"({"prompt": "", "add_special_tokens": false})").status,
      400);
  EXPECT_EQ(api->Complete(R"({"prompt": "a", "add_special_tokens": 1})").status,
            400);
}

TEST_F(PromptMarksTest, AreNoTextOfAnEcho) {
  const json choice =
      Complete(R"("abc")", R"(, "echo": true, "logprobs": 1)")["choices"][0];
  EXPECT_THAT(choice["text"].get<std::string>(), ::testing::StartsWith("abc"));
  const json& scores = choice["logprobs"];
  EXPECT_EQ(scores["tokens"].size(), 4u + 5u);
  EXPECT_EQ(scores["tokens"][0], "");
  EXPECT_TRUE(scores["token_logprobs"][0].is_null());
  EXPECT_EQ(scores["text_offset"][1], 0);
  EXPECT_TRUE(scores["token_logprobs"][1].is_number());
}

TEST_F(PromptMarksTest, AreToldByTheTokenizer) {
  EXPECT_EQ(Tokens(R"({"prompt": "ab"})"), json({17, 0, 1}));
  EXPECT_EQ(Tokens(R"({"prompt": "ab", "add_special_tokens": false})"),
            json({0, 1}));
  // As lm-eval asks for the token that a text begins with.
  EXPECT_EQ(Tokens(R"({"prompt": "<begin>", "add_special_tokens": false})"),
            json({17}));
  EXPECT_EQ(
      Tokens(R"({"prompt": "<end>a<begin>b", "add_special_tokens": false})"),
      json({18, 0, 17, 1}));
  EXPECT_EQ(
      json::parse(
          api->Detokenize(R"({"tokens": [17, 0, 18, 1]})").body)["prompt"],
      "a<end>b");
  const json info = json::parse(api->Pages().at("/tokenizer_info")("").body);
  EXPECT_EQ(info["bos_token"], "<begin>");
  EXPECT_EQ(info["eos_token"], "<end>");
  EXPECT_EQ(info["add_bos_token"], true);
  EXPECT_EQ(info["add_eos_token"], false);
}

TEST_F(PromptMarksTest, OfGenerateAreThoseOfCompletions) {
  for (const auto& [asked, count, more] :
       {std::tuple(std::optional<bool>(), 4, ""),
        {true, 4, ""},
        {false, 3, kWithout}}) {
    lory::v1::GenerateRequest request;
    request.set_prompt("abc");
    request.set_max_tokens(5);
    if (asked) request.set_add_special_tokens(*asked);
    grpc::ClientContext context;
    const auto reader = stub->Generate(&context, request);
    lory::v1::GenerateResponse response;
    std::string text;
    int prompt_tokens = 0;
    while (reader->Read(&response)) {
      text += response.text();
      prompt_tokens += response.prompt_token_count();
    }
    EXPECT_OK(rpc::FromGrpc(reader->Finish()));
    EXPECT_EQ(prompt_tokens, count);
    EXPECT_EQ(text, Complete(R"("abc")", more)["choices"][0]["text"]);
  }
}

TEST_F(PromptMarksTest, GiveTheFirstTokenOfAScoredTextAProbability) {
  lory::v1::ScoreRequest request;
  request.set_text("abcd");
  const lory::v1::ScoreResponse marked = Score(request);
  EXPECT_EQ(marked.tokens_size(), 4);
  ASSERT_EQ(marked.log_probabilities_size(), 4);
  const json echoed =
      Complete(R"("abcd")", R"(, "echo": true, "logprobs": 0)")["choices"][0];
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(echoed["logprobs"]["token_logprobs"][i + 1],
              marked.log_probabilities(i));
  }
  request.set_add_special_tokens(false);
  EXPECT_EQ(Score(request).log_probabilities_size(), 3);
  // Of a text after a context, the mark stands before that.
  request.set_context("ef");
  const lory::v1::ScoreResponse bare = Score(request);
  request.set_add_special_tokens(true);
  const lory::v1::ScoreResponse after = Score(request);
  EXPECT_EQ(bare.log_probabilities_size(), 4);
  EXPECT_EQ(after.log_probabilities_size(), 4);
  EXPECT_NE(after.log_probabilities(0), bare.log_probabilities(0));
}

// Were every mark looked for from every mark on, this would take hours.
TEST_F(PromptMarksTest, AreFoundInTimeThatGrowsWithTheText) {
  constexpr int kMany = 500'000;
  std::string text;
  for (int i = 0; i < kMany; ++i) text += "<end>";
  const std::vector<int64_t> tokens = front->Encode(text);
  EXPECT_EQ(
      std::count(tokens.begin(), tokens.end(), letters->end_of_document_id()),
      kMany);
  EXPECT_EQ(tokens.size(), kMany);
}

TEST_F(PromptMarksTest, PutNothingBetweenAContextAndItsText) {
  letters->dummy_prefix = "p";
  lory::v1::ScoreRequest request;
  request.set_context("ef");
  request.set_text("abc");
  const lory::v1::ScoreResponse scored = Score(request);
  EXPECT_THAT(scored.tokens(), ::testing::ElementsAre(0, 1, 2));
  EXPECT_EQ(scored.log_probabilities_size(), 3);
  // Without a context it is the text that begins.
  request.clear_context();
  EXPECT_EQ(Score(request).tokens_size(), 4);
}

TEST_F(PromptMarksTest, AreRoutedWithTheText) {
  lory::v1::RouteRequest request;
  request.set_text("abc");
  for (const auto& [asked, count] : {std::pair(true, 4), {false, 3}}) {
    request.set_add_special_tokens(asked);
    lory::v1::RouteResponse routed;
    grpc::ClientContext context;
    ASSERT_OK(rpc::FromGrpc(stub->Route(&context, request, &routed)));
    EXPECT_EQ(routed.token_count(), count);
  }
}

}  // namespace
}  // namespace lory::serve
