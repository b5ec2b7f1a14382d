// The two faces of the server, gRPC and HTTP, with an engine at work behind.

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/address.h"
#include "common/rpc/server.h"
#include "common/rpc/status_convert.h"
#include "gmock/gmock.h"
#include "tests/unit/worker/serve/served.h"
#include "worker/serve/http_api.h"
#include "worker/serve/inference_service.h"

namespace lory::serve {
namespace {

using ::lory::model::LorySpec;
using ::lory::testing::StatusIs;
using ::lory::v1::InferenceService;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct ServingTest : ::testing::Test {
  ServingTest() {
    tokenizer.tokenizer = std::make_unique<LetterTokenizer>();
    tokenizer.end_of_document = "<end>";
    auto made = Engine::Create({}, *served.model, *tokenizer.tokenizer,
                               RealClock(), &metrics);
    EXPECT_OK(made);
    engine = *std::move(made);
    front = std::make_unique<Front>(Front{.model = *served.model,
                                          .tokenizer = tokenizer,
                                          .engine = *engine,
                                          .metrics = metrics,
                                          .clock = RealClock(),
                                          .model_name = "tiny"});
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

  json Complete(const std::string& body) const {
    const http::Response response = api->Complete(body);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body);
  }

  absl::Status Generate(const lory::v1::GenerateRequest& request,
                        std::string* text,
                        lory::v1::GenerateResponse* last) const {
    grpc::ClientContext context;
    const auto reader = stub->Generate(&context, request);
    lory::v1::GenerateResponse response;
    while (reader->Read(&response)) {
      *text += response.text();
      *last = response;
    }
    return rpc::FromGrpc(reader->Finish());
  }

  Served served{LorySpec()};
  lory::text::TokenizerFile tokenizer;
  ServerMetrics metrics;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Front> front;
  std::unique_ptr<HttpApi> api;
  std::unique_ptr<InferenceServiceRpc> service;
  std::jthread thread;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<InferenceService::Stub> stub;
};

TEST_F(ServingTest, BothFacesGiveTheSameText) {
  lory::v1::GenerateRequest request;
  request.set_prompt("abcd");
  request.set_max_tokens(6);
  std::string text;
  lory::v1::GenerateResponse last;
  ASSERT_OK(Generate(request, &text, &last));
  EXPECT_EQ(last.prompt_token_count(), 4);
  EXPECT_NE(last.finish_reason(),
            lory::v1::GenerateResponse::FINISH_REASON_UNSPECIFIED);
  const json answer = Complete(
      R"({"prompt": "abcd", "max_tokens": 6, "temperature": 0,
          "model": "tiny"})");
  EXPECT_EQ(answer["choices"][0]["text"], text);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(answer["object"], "text_completion");
}

TEST_F(ServingTest, AStreamSaysPieceByPieceWhatTheWholeSays) {
  const json whole = Complete(
      R"({"prompt": ["abcd", "b"], "max_tokens": 5, "temperature": 0,
          "echo": true, "logprobs": 2})");
  const http::Response response = api->Complete(
      R"({"prompt": ["abcd", "b"], "max_tokens": 5, "temperature": 0,
          "echo": true, "logprobs": 2, "stream": true})");
  EXPECT_EQ(response.content_type, "text/event-stream");
  std::string texts[2];
  size_t scores[2] = {0, 0};
  std::string last;
  response.stream([&](const std::string& piece) {
    EXPECT_THAT(piece, ::testing::StartsWith("data: "));
    last = piece.substr(6);
    if (last == "[DONE]\n\n") return true;
    const json choice = json::parse(last)["choices"][0];
    const int index = choice["index"];
    texts[index] += choice["text"].get<std::string>();
    scores[index] += choice["logprobs"]["tokens"].size();
    return true;
  });
  EXPECT_EQ(last, "[DONE]\n\n");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(texts[i], whole["choices"][i]["text"]);
    EXPECT_EQ(scores[i], whole["choices"][i]["logprobs"]["tokens"].size());
  }
}

// A server whose engine works only when the test says so.
struct SteppedTest : ServingTest {
  SteppedTest() {
    auto made =
        Engine::Create({.max_active = 1}, *served.model, *tokenizer.tokenizer,
                       RealClock(), &stepped_metrics);
    EXPECT_OK(made);
    stepped = *std::move(made);
    stepped_front = std::make_unique<Front>(Front{.model = *served.model,
                                                  .tokenizer = tokenizer,
                                                  .engine = *stepped,
                                                  .metrics = stepped_metrics,
                                                  .clock = RealClock()});
    stepped_api = std::make_unique<HttpApi>(*stepped_front);
  }

  // Greedy: a token that is drawn might end the text.
  static constexpr char kAsked[] =
      R"({"prompt": "a", "temperature": 0, "max_tokens": 11)";

  std::string Counted() const { return stepped_metrics.Serialize(); }

  ServerMetrics stepped_metrics;  // the other engine's thread reports, too
  std::unique_ptr<Engine> stepped;
  std::unique_ptr<Front> stepped_front;
  std::unique_ptr<HttpApi> stepped_api;
};

constexpr char kCancelledOnce[] =
    R"(lory_server_requests_total{code="CANCELLED",method="completions"} 1)";

TEST_F(SteppedTest, AReaderOfAStreamThatLeavesEndsTheWork) {
  {
    const http::Response response =
        stepped_api->Complete(absl::StrCat(kAsked, R"(, "stream": true})"));
    EXPECT_TRUE(stepped->Step());  // two tokens: two pieces
    int pieces = 0;
    response.stream([&](const std::string&) { return ++pieces < 2; });
    EXPECT_EQ(pieces, 2);
  }
  EXPECT_FALSE(stepped->Step());
  EXPECT_THAT(Counted(), HasSubstr(kCancelledOnce));
}

TEST_F(SteppedTest, AReaderOfAWholeAnswerThatLeavesEndsTheWork) {
  int asked = 0;
  stepped_api->Complete(absl::StrCat(kAsked, "}"), [&] {
    if (++asked == 1) stepped->Step();
    return asked > 2;  // after a token
  });
  EXPECT_FALSE(stepped->Step());
  EXPECT_THAT(Counted(), HasSubstr(kCancelledOnce));
}

TEST_F(SteppedTest, AReaderThatLeavesWhileItsRequestWaitsMakesRoom) {
  LORY_ASSERT_OK_AND_ASSIGN(const auto first,
                            stepped->Submit({.tokens = {1}, .max_tokens = 2}));
  for (const char* end : {"}", R"(, "stream": true})"}) {
    int asked = 0;
    const http::Response response = stepped_api->Complete(
        absl::StrCat(kAsked, end), [&] { return ++asked > 1; });
    if (response.stream)
      response.stream([](const std::string&) { return true; });
    EXPECT_EQ(asked, 2);
  }
  EXPECT_TRUE(stepped->Step());  // the first, to its end
  EXPECT_FALSE(stepped->Step());
  EXPECT_EQ(first->Next(absl::ZeroDuration())->value().tokens.size(), 1);
}

TEST_F(SteppedTest, AClientThatClosesItsConnectionEndsTheWork) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto http,
      http::HttpServer::Start("127.0.0.1:0", "", {},
                              {.posts = stepped_api->Posts()}));
  const std::string body = absl::StrCat(kAsked, "}");
  const std::string request = absl::StrCat(
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
      "application/json\r\nContent-Length: ",
      body.size(), "\r\n\r\n", body);
  sockaddr_in peer = {.sin_family = AF_INET};
  uint32_t port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(SplitHostPort(http->address()).port, &port));
  peer.sin_port = htons(static_cast<uint16_t>(port));
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)), 0);
  EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  while (!stepped->Step()) std::this_thread::yield();  // it is at work
  ::close(fd);
  // Nobody steps the engine: only the closed connection can end this.
  while (!absl::StrContains(Counted(), kCancelledOnce)) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(stepped->Step());
}

// Token i is byte i of a text with characters of one, two and three bytes.
struct BytesTokenizer final : lory::text::Tokenizer {
  int64_t vocabulary_size() const override { return 7; }
  int32_t end_of_document_id() const override { return -1; }
  std::vector<int32_t> Encode(absl::string_view) const override { return {}; }
  std::string Decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) text += "a\xC3\xA9\xE2\x82\xAC\xFF"[id];
    return text;
  }
};

TEST_F(ServingTest, OffsetsAreThoseOfCharactersInTheText) {
  lory::text::TokenizerFile bytes;
  bytes.tokenizer = std::make_unique<BytesTokenizer>();
  const Front of_bytes{.model = *served.model,
                       .tokenizer = bytes,
                       .engine = *engine,
                       .metrics = metrics,
                       .clock = RealClock()};
  CompletionRequest request;
  request.echo = true;
  request.logprobs = 1;
  // The prompt ends, and the first pieces do, within a character.
  CompletionChoice choice(of_bytes, 0, {0, 1, 2, 6, 3}, request);
  GenerationPiece piece;
  for (const int64_t token : {1, 2, 6, 3}) {
    piece.prompt_scores.push_back({.token = token});
  }
  piece.tokens = {4};
  piece.scores = {{.token = 4}};
  piece.text = "\x82";
  std::vector<nlohmann::ordered_json> pieces = {choice.Add(piece)};
  GenerationPiece last;
  last.tokens = {5, 0, 1};
  last.scores = {{.token = 5}, {.token = 0}, {.token = 1}};
  last.text =
      "\xAC"
      "a\xC3";
  last.finish = FinishReason::kLength;
  pieces.push_back(choice.Add(last));
  const nlohmann::ordered_json whole = JoinChoices(pieces);
  EXPECT_EQ(whole["text"],
            "a\xC3\xA9\xEF\xBF\xBD\xE2\x82\xAC"
            "a\xEF\xBF\xBD");
  EXPECT_EQ(whole["logprobs"]["text_offset"],
            nlohmann::ordered_json({0, 1, 1, 2, 3, 3, 3, 4, 5}));
}

// Token i is a space and a letter; at the begin of a text the letter alone.
struct SpacedTokenizer final : lory::text::Tokenizer {
  int64_t vocabulary_size() const override { return lory::model::kVocabulary; }
  int32_t end_of_document_id() const override { return 18; }
  std::vector<int32_t> Encode(absl::string_view) const override { return {}; }
  std::string Decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) text += TokenText(id);
    return std::string(absl::StripPrefix(text, " "));
  }
  std::string TokenText(int32_t id) const override {
    return id == 18 ? "" : std::string{' ', static_cast<char>('a' + id)};
  }
};

TEST_F(ServingTest, TheSpaceBeforeAWordIsTextUnlessItBeginsOne) {
  lory::text::TokenizerFile spaced;
  spaced.tokenizer = std::make_unique<SpacedTokenizer>();
  spaced.end_of_document = "<end>";
  const Front of_spaced{.model = *served.model,
                        .tokenizer = spaced,
                        .engine = *engine,
                        .metrics = metrics,
                        .clock = RealClock()};
  EXPECT_EQ(of_spaced.DecodeMarked({0, 1, 18, 2, 3}), "a b<end>c d");
  CompletionRequest request;
  request.echo = true;
  request.logprobs = 1;
  // A mark before the text is none of it.
  CompletionChoice choice(of_spaced, 0, {18, 0, 1}, request);
  GenerationPiece piece;
  piece.prompt_scores = {{.token = 0}, {.token = 1}};
  piece.tokens = {2};
  piece.scores = {{.token = 2}};
  piece.text = " c";
  const nlohmann::ordered_json whole = choice.Add(piece);
  EXPECT_EQ(whole["text"], "a b c");
  EXPECT_EQ(whole["logprobs"]["tokens"],
            nlohmann::ordered_json({"", "a", " b", " c"}));
  EXPECT_EQ(whole["logprobs"]["text_offset"],
            nlohmann::ordered_json({0, 0, 1, 3}));
  // What the engine makes stands within a text from its first token on.
  auto made = Engine::Create({}, *served.model, *spaced.tokenizer, RealClock(),
                             nullptr);
  ASSERT_OK(made);
  Engine& of_words = **made;
  const std::jthread run(
      [&of_words](std::stop_token stop) { of_words.Run(stop); });
  const Front answers{.model = *served.model,
                      .tokenizer = spaced,
                      .engine = of_words,
                      .metrics = metrics,
                      .clock = RealClock()};
  const http::Response response = HttpApi(answers).Complete(
      R"({"prompt": [[0]], "max_tokens": 1, "temperature": 0})");
  ASSERT_EQ(response.status, 200) << response.body;
  const json answered = json::parse(response.body)["choices"][0];
  EXPECT_THAT(answered["text"].get<std::string>(), ::testing::StartsWith(" "));
}

TEST_F(ServingTest, EchoScoresThePromptAsScoreDoes) {
  lory::v1::ScoreRequest request;
  request.set_text("abcdef");
  request.set_inference(lory::v1::INFERENCE_SEGMENT);
  lory::v1::ScoreResponse scored;
  grpc::ClientContext context;
  ASSERT_OK(rpc::FromGrpc(stub->Score(&context, request, &scored)));
  ASSERT_EQ(scored.log_probabilities_size(), 5);
  EXPECT_EQ(scored.tokens_size(), 6);
  const json answer = Complete(
      R"({"prompt": [[0, 1, 2, 3, 4, 5]], "max_tokens": 1, "temperature": 0,
          "echo": true, "logprobs": 1, "inference": "segment"})");
  const json& logprobs = answer["choices"][0]["logprobs"];
  ASSERT_EQ(logprobs["token_logprobs"].size(), 7);
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(logprobs["token_logprobs"][i + 1], scored.log_probabilities(i));
  }
  EXPECT_EQ(logprobs["tokens"][1], "b");
  EXPECT_EQ(logprobs["text_offset"][2], 2);
  // The token made was the likeliest.
  EXPECT_EQ(logprobs["top_logprobs"][6].begin().value(),
            logprobs["token_logprobs"][6]);
}

TEST_F(ServingTest, AContextRoutesAndIsNotScored) {
  lory::v1::ScoreRequest request;
  request.set_context("abcd");
  request.set_text("ef");
  lory::v1::ScoreResponse scored;
  grpc::ClientContext context;
  ASSERT_OK(rpc::FromGrpc(stub->Score(&context, request, &scored)));
  EXPECT_EQ(scored.log_probabilities_size(), 2);
  EXPECT_EQ(scored.tokens_size(), 2);
  // What the prompt "abcd" makes likely, token by token.
  const json answer = Complete(
      R"({"prompt": "abcd", "max_tokens": 1, "temperature": 0,
          "logprobs": 19})");
  const json& top = answer["choices"][0]["logprobs"]["top_logprobs"][0];
  EXPECT_NEAR(top["e"].get<double>(), scored.log_probabilities(0), 1e-5);
}

TEST_F(ServingTest, RouteTellsTheWeightsOfEverySegment) {
  lory::v1::RouteRequest request;
  request.set_text("abcdefgh");
  request.set_inference(lory::v1::INFERENCE_SEGMENT);
  lory::v1::RouteResponse routed;
  grpc::ClientContext context;
  ASSERT_OK(rpc::FromGrpc(stub->Route(&context, request, &routed)));
  EXPECT_EQ(routed.token_count(), 8);
  ASSERT_EQ(routed.layers_size(), 2);
  ASSERT_EQ(routed.layers(0).segments_size(), 2);
  double sum = 0;
  for (const double weight : routed.layers(1).segments(1).weights()) {
    sum += weight;
  }
  EXPECT_NEAR(sum, 1, 1e-6);
}

// 2 layers of 4 experts: a segment of 4 tokens has 8 shares.
TEST_F(ServingTest, RouteAnswersNoMoreSharesThanAMessageHolds) {
  const auto route = [&](size_t tokens, lory::v1::Inference inference) {
    lory::v1::RouteRequest request;
    request.set_text(std::string(tokens, 'a'));
    request.set_inference(inference);
    lory::v1::RouteResponse routed;
    grpc::ClientContext context;
    return rpc::FromGrpc(stub->Route(&context, request, &routed));
  };
  constexpr size_t kMost = 400'000 / 8 * 4;
  EXPECT_THAT(route(kMost + 1, lory::v1::INFERENCE_SEGMENT),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("gives 400008 shares"),
                             HasSubstr("INFERENCE_PROMPT"))));
  // These are as many as fit: the text is too long, for another reason.
  const auto too_long =
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("context"), Not(HasSubstr("shares"))));
  EXPECT_THAT(route(kMost, lory::v1::INFERENCE_SEGMENT), too_long);
  EXPECT_THAT(route(kMost + 1, lory::v1::INFERENCE_PROMPT), too_long);
}

TEST_F(ServingTest, MistakesAreNamedOnBothFaces) {
  lory::v1::GenerateRequest request;
  request.set_prompt("abc");
  std::string text;
  lory::v1::GenerateResponse last;
  EXPECT_THAT(
      Generate(request, &text, &last),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_tokens")));
  request.set_max_tokens(10);
  EXPECT_THAT(
      Generate(request, &text, &last),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("context")));
  grpc::ClientContext context;
  lory::v1::ScoreResponse scored;
  EXPECT_THAT(rpc::FromGrpc(stub->Score(&context, {}, &scored)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text")));

  const http::Response response =
      api->Complete(R"({"prompt": "abc", "max_tokens": 10})");
  EXPECT_EQ(response.status, 400);
  const json error = json::parse(response.body)["error"];
  EXPECT_EQ(error["param"], "max_tokens");
  EXPECT_EQ(error["type"], "invalid_argument");
  EXPECT_EQ(api->Complete(R"({"prompt": "a", "model": "other"})").status, 404);
  EXPECT_EQ(api->Detokenize(R"({"tokens": [99]})").status, 400);
}

TEST_F(ServingTest, OneRequestTooManyIsToldSo) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto idle,
      Engine::Create({.max_active = 1, .max_queued = 1}, *served.model,
                     *tokenizer.tokenizer, RealClock(), nullptr));
  const Front full{.model = *served.model,
                   .tokenizer = tokenizer,
                   .engine = *idle,
                   .metrics = metrics,
                   .clock = RealClock()};
  LORY_ASSERT_OK_AND_ASSIGN(const auto waiting, idle->Submit({.tokens = {1}}));
  EXPECT_OK(idle->Submit({.tokens = {1}}));  // the other place
  const http::Response response =
      HttpApi(full).Complete(R"({"prompt": "a", "max_tokens": 2})");
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(json::parse(response.body)["error"]["code"], "TOO_MANY_REQUESTS");
  EXPECT_EQ(HttpApi(full).Complete(R"({"prompt": ["a", "b"]})").status, 400);
  waiting->Cancel();
  EXPECT_OK(idle->Submit({.tokens = {1}}));
}

TEST_F(ServingTest, TheTokenizerIsServed) {
  EXPECT_EQ(json::parse(api->Tokenize(R"({"prompt": "abc"})").body)["tokens"],
            json({0, 1, 2}));
  EXPECT_EQ(
      json::parse(api->Detokenize(R"({"tokens": [0, 1]})").body)["prompt"],
      "ab");
  // What lm-eval asks for the token that a text begins with.
  EXPECT_EQ(
      json::parse(api->Tokenize(R"({"prompt": "<end>a<end>"})").body)["tokens"],
      json({18, 0, 18}));
  EXPECT_EQ(
      json::parse(api->Detokenize(R"({"tokens": [0, 18, 1]})").body)["prompt"],
      "a<end>b");
  const auto pages = api->Pages();
  EXPECT_EQ(json::parse(pages.at("/tokenizer_info")("").body)["eos_token"],
            "<end>");
  EXPECT_EQ(json::parse(pages.at("/v1/models")("").body)["data"][0]["id"],
            "tiny");
  Complete(R"({"prompt": "abc", "max_tokens": 2})");
  EXPECT_THAT(pages.at("/metrics")("").body,
              HasSubstr("lory_server_requests_total{code=\"OK\","
                        "method=\"completions\"} 1"));
}

}  // namespace
}  // namespace lory::serve
