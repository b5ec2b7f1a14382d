#include "worker/serve/completion_request.h"

#include <string>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::serve {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void Refused(const std::string& body, const char* words) {
  EXPECT_THAT(ParseCompletionRequest(body),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words)))
      << body.substr(0, 100);
}

TEST(CompletionRequest, WhatIsNotSaidIsAsInOpenAisApi) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const CompletionRequest request,
      ParseCompletionRequest(R"({"prompt": "Hi", "stop": null})"));
  EXPECT_THAT(request.prompts, ElementsAre(Prompt("Hi")));
  EXPECT_EQ(request.options.max_tokens, 16);
  EXPECT_EQ(request.options.sampling.temperature, 1);
  EXPECT_FALSE(request.options.score);
}

TEST(CompletionRequest, PromptsAreTextsOrTokens) {
  using Tokens = std::vector<int64_t>;
  const auto prompts = [](const std::string& json) {
    auto request = ParseCompletionRequest("{\"prompt\": " + json + "}");
    EXPECT_OK(request);
    return request->prompts;
  };
  EXPECT_THAT(prompts("[1, 2]"), ElementsAre(Prompt(Tokens{1, 2})));
  EXPECT_THAT(prompts("[[1], [2, 3]]"),
              ElementsAre(Prompt(Tokens{1}), Prompt(Tokens{2, 3})));
  EXPECT_THAT(prompts(R"(["a", "b"])"), ElementsAre(Prompt("a"), Prompt("b")));
}

TEST(CompletionRequest, ScoringClientsAreUnderstood) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const CompletionRequest request,
      ParseCompletionRequest(
          R"({"model": "m", "prompt": [[5, 6]], "temperature": 0,
              "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": true,
              "n": 1, "stop": ["a", "b"], "user": "u", "logit_bias": {},
              "inference": "segment"})"));
  EXPECT_EQ(request.options.top_count, 1);
  EXPECT_TRUE(request.options.score_prompt);
  EXPECT_TRUE(request.seeded);
  EXPECT_EQ(request.options.sampling.seed, 1234);
  EXPECT_EQ(request.options.inference, Inference::kSegment);
  EXPECT_THAT(request.options.stops, ElementsAre("a", "b"));
}

TEST(CompletionRequest, WhatIsWrongIsNamed) {
  Refused("", "no JSON object");
  Refused("[]", "no JSON object");
  Refused("{\"prompt\": \"a\"", "no JSON object");
  Refused("{\"prompt\": \"\xFF\"}", "no JSON object");  // no UTF-8
  Refused(std::string(100'000, '['), "no JSON object");
  Refused("{\"prompt\": " + std::string(20, '[') + std::string(20, ']') + "}",
          "no JSON object");
  Refused("{\"prompt\": \"a\", \"max_tokens\": 1" + std::string(400, '0') + "}",
          "no JSON object");
  Refused("{\"prompt\": \"a\", \"temperature\": 1e999}", "no JSON object");
  Refused("{}", "prompt: is missing");
  Refused(R"({"prompt": null})", "prompt: is missing");
  Refused(R"({"prompt": 5})", "prompt");
  Refused(R"({"prompt": []})", "prompt: is empty");
  Refused(R"({"prompt": [1, "a"]})", "prompt");
  Refused(R"({"prompt": [1.5]})", "prompt");
  Refused(R"({"prompt": "a", "max_tokens": 1.5})", "max_tokens: is no integer");
  Refused(R"({"prompt": "a", "max_tokens": "9"})", "max_tokens: is no integer");
  Refused(R"({"prompt": "a", "max_token": 9})", "max_token: is not known");
  Refused(R"({"prompt": "a", "prompt": "b"})", "prompt: is there twice");
  Refused(R"({"prompt": "a", "echo": 1})", "echo: is not true or false");
  Refused(R"({"prompt": "a", "n": 2})", "n: must be 1");
  Refused(R"({"prompt": "a", "suffix": "x"})", "suffix");
  Refused(R"({"prompt": "a", "stop": [1]})", "stop");
  Refused(R"({"prompt": "a", "inference": "both"})", "inference");
}

// Clients that ask for what is not there hear of it, each field by its name.
TEST(CompletionRequest, WhatOthersCanDoIsRefusedByFieldOrAskedForAsNothing) {
  for (const auto& [field, nothing, something, why] : std::vector<
           std::tuple<std::string, std::string, std::string, std::string>>{
           {"n", "1", "2", "must be 1"},
           {"best_of", "1", "3", "must be 1"},
           {"presence_penalty", "0", "0.5", "must be 0"},
           {"frequency_penalty", "0.0", "-1", "must be 0"},
           {"logit_bias", "{}", R"({"50256": -100})", "is not supported"},
           {"suffix", R"("")", R"("end")", "is not supported"},
           {"min_p", "null", "0.1", "is not known"},
           {"repetition_penalty", "null", "1.2", "is not known"},
           {"prompt_logprobs", "null", "1", "is not known"}}) {
    const std::string begin = R"({"prompt": "a", ")" + field + R"(": )";
    Refused(begin + something + "}", (field + ": " + why).c_str());
    if (nothing == "null") continue;
    EXPECT_OK(ParseCompletionRequest(begin + nothing + "}"));
    EXPECT_OK(ParseCompletionRequest(begin + "null}"));
  }
  // Several at once are all named.
  const absl::Status both =
      ParseCompletionRequest(R"({"prompt": "a", "n": 2, "suffix": "b"})")
          .status();
  EXPECT_THAT(both.message(), ::testing::AllOf(HasSubstr("n: must be 1"),
                                               HasSubstr("suffix: is not")));
}

TEST(TokenizeRequest, IsTextAndTheOtherWayTokens) {
  LORY_ASSERT_OK_AND_ASSIGN(TokenizeRequest text,
                            ParseTokenizeRequest(R"({"prompt": "a"})"));
  EXPECT_EQ(text.prompt, "a");
  EXPECT_TRUE(text.add_special_tokens);
  LORY_ASSERT_OK_AND_ASSIGN(
      text,
      ParseTokenizeRequest(R"({"prompt": "a", "add_special_tokens": false})"));
  EXPECT_FALSE(text.add_special_tokens);
  LORY_ASSERT_OK_AND_ASSIGN(const auto tokens,
                            ParseDetokenizeRequest(R"({"tokens": [3, 4]})"));
  EXPECT_THAT(tokens.tokens, ElementsAre(3, 4));
  EXPECT_FALSE(ParseTokenizeRequest(R"({"tokens": [3]})").ok());
  EXPECT_FALSE(ParseDetokenizeRequest(R"({"tokens": "a"})").ok());
}

}  // namespace
}  // namespace lory::serve
