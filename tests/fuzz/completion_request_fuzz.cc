// Bodies of lory-server's POST requests, the JSON of strangers: what is taken
// is in the ranges that the API has.
#include "worker/serve/completion_request.h"

#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"

namespace lory::serve {
namespace {

void CheckCompletion(const CompletionRequest& request) {
  LORY_CHECK(!request.prompts.empty());
  const GenerationRequest& options = request.options;
  LORY_CHECK(options.max_tokens >= 0 && options.top_count >= 0);
  LORY_CHECK(options.sampling.temperature >= 0 && options.sampling.top_p > 0 &&
             options.sampling.top_p <= 1 && options.sampling.top_k >= 0);
  for (const std::string& stop : options.stops) LORY_CHECK(!stop.empty());
  LORY_CHECK(!request.logprobs || *request.logprobs >= 0);
}

}  // namespace

LORY_FUZZ(input) {
  const std::string body(input);
  const auto promised = {absl::StatusCode::kInvalidArgument};
  const auto completion = ParseCompletionRequest(body);
  fuzz::CheckError(completion.status(), promised);
  if (completion.ok()) CheckCompletion(*completion);
  const auto text = ParseTokenizeRequest(body);
  fuzz::CheckError(text.status(), promised);
  if (text.ok()) {
    const auto again =
        ParseTokenizeRequest(nlohmann::json({{"prompt", text->prompt}}).dump());
    LORY_CHECK(again.ok() && again->prompt == text->prompt);
  }
  const auto tokens = ParseDetokenizeRequest(body);
  fuzz::CheckError(tokens.status(), promised);
  if (tokens.ok()) {
    const auto again = ParseDetokenizeRequest(
        nlohmann::json({{"tokens", tokens->tokens}}).dump());
    LORY_CHECK(again.ok() && again->tokens == tokens->tokens);
  }
}

}  // namespace lory::serve
