#ifndef LORY_WORKER_SERVE_COMPLETION_REQUEST_H_
#define LORY_WORKER_SERVE_COMPLETION_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/serve/generation_request.h"

// Bodies of POST requests: JSON of strangers, checked here and nowhere else.
// Errors are INVALID_ARGUMENT and name the field. Null is as if not there.
namespace lory::serve {

// Text, or tokens already.
using Prompt = std::variant<std::string, std::vector<int64_t>>;

// A body of POST /v1/completions.
struct CompletionRequest {
  std::vector<Prompt> prompts;
  std::string model;          // empty: not named
  GenerationRequest options;  // all but its tokens and deadline
  bool seeded = false;        // options.sampling.seed was given
  bool inference_given = false;
  bool max_tokens_given = false;
  bool add_special_tokens = true;  // around prompts that are texts
  bool echo = false;
  bool stream = false;
  bool include_usage = false;  // a stream ends with how many tokens it took
  std::optional<int64_t> logprobs;
};
absl::StatusOr<CompletionRequest> ParseCompletionRequest(
    const std::string& body);

// A body of POST /tokenize.
struct TokenizeRequest {
  std::string prompt;
  std::string model;  // empty: not named
  bool add_special_tokens = true;
  bool return_token_strs = false;  // and the text of each
};
absl::StatusOr<TokenizeRequest> ParseTokenizeRequest(const std::string& body);

// A body of POST /detokenize.
struct DetokenizeRequest {
  std::vector<int64_t> tokens;
  std::string model;  // empty: not named
};
absl::StatusOr<DetokenizeRequest> ParseDetokenizeRequest(
    const std::string& body);

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_COMPLETION_REQUEST_H_
