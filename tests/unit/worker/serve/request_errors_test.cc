// What gRPC answers to requests that no model can do.

#include <grpcpp/create_channel.h>

#include "common/base/error_detail.h"
#include "common/rpc/server.h"
#include "common/rpc/status_convert.h"
#include "gmock/gmock.h"
#include "tests/unit/worker/serve/served.h"
#include "worker/serve/inference_service.h"

namespace lory::serve {
namespace {

using ::lory::model::LorySpec;
using ::lory::testing::StatusIs;
using ::lory::v1::InferenceService;
using ::testing::HasSubstr;

struct RequestErrorsTest : ::testing::Test {
  RequestErrorsTest() {
    tokenizer.tokenizer = std::make_unique<LetterTokenizer>();
    auto made = Engine::Create({}, *served.model, *tokenizer.tokenizer,
                               RealClock(), nullptr);
    EXPECT_OK(made);
    engine = *std::move(made);
    front = std::make_unique<Front>(Front{.model = *served.model,
                                          .tokenizer = tokenizer,
                                          .engine = *engine,
                                          .metrics = metrics,
                                          .clock = RealClock()});
    service = std::make_unique<InferenceServiceRpc>(*front);
    auto started =
        rpc::Server::Start({.address = "127.0.0.1:0"}, {service.get()});
    EXPECT_OK(started);
    server = *std::move(started);
    stub = InferenceService::NewStub(grpc::CreateChannel(
        server->address(), grpc::InsecureChannelCredentials()));
  }

  absl::Status Score(const std::string& context, const std::string& text) {
    lory::v1::ScoreRequest request;
    request.set_context(context);
    request.set_text(text);
    lory::v1::ScoreResponse response;
    grpc::ClientContext call;
    return rpc::FromGrpc(stub->Score(&call, request, &response));
  }

  absl::Status Route(const std::string& text) {
    lory::v1::RouteRequest request;
    request.set_text(text);
    lory::v1::RouteResponse response;
    grpc::ClientContext call;
    return rpc::FromGrpc(stub->Route(&call, request, &response));
  }

  absl::Status Generate(const std::string& prompt) {
    lory::v1::GenerateRequest request;
    request.set_prompt(prompt);
    request.set_max_tokens(1);
    grpc::ClientContext call;
    const auto reader = stub->Generate(&call, request);
    lory::v1::GenerateResponse response;
    EXPECT_FALSE(reader->Read(&response));
    return rpc::FromGrpc(reader->Finish());
  }

  Served served{LorySpec()};
  lory::text::TokenizerFile tokenizer;
  ServerMetrics metrics;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Front> front;
  std::unique_ptr<InferenceServiceRpc> service;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<InferenceService::Stub> stub;
};

void Complains(const absl::Status& status, const char* field,
               const char* words) {
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words)));
  const auto violations = FieldViolationsOf(status);
  ASSERT_EQ(violations.size(), 1);
  EXPECT_EQ(violations[0].field, field);
}

TEST_F(RequestErrorsTest, NameTheFieldsOfTheRequest) {
  const std::string most(served.model->shape().sequence_length, 'a');
  Complains(Generate(most + "b"), "prompt", "the model's context is");
  Complains(Route(most + "b"), "text", "the model's context is");
  Complains(Route(""), "text", "is empty");
  Complains(Score("", most + "b"), "text", "the model's context is");
  Complains(Score(most, "b"), "text", "tokens with its context, the model's");
  Complains(Score(most + "b", "c"), "context", "the model's context is");
  Complains(Score("a", ""), "text", "is empty");
}

TEST_F(RequestErrorsTest, ATextThatIsNotUtf8IsToldAsSuch) {
  const auto told = StatusIs(absl::StatusCode::kInvalidArgument,
                             HasSubstr("a text in it is not UTF-8"));
  EXPECT_THAT(Score("", "\xff"), told);
  EXPECT_THAT(Route("a\xc3"), told);
  EXPECT_THAT(Generate("\xed\xa0\x80"), told);
  EXPECT_EQ(ReasonOf(Route("\xff")), "INVALID_ARGUMENT");
}

}  // namespace
}  // namespace lory::serve
