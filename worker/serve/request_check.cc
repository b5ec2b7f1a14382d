#include "worker/serve/request_check.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"

namespace lory::serve {
namespace {

constexpr size_t kMaxStopBytes = 1000;
constexpr double kMaxTemperature = 100;

void CheckPrompt(const GenerationRequest& request,
                 const lory::config::ModelShape& shape,
                 std::vector<FieldViolation>& found) {
  const auto count = static_cast<int64_t>(request.tokens.size());
  const int64_t context = shape.sequence_length;
  if (count == 0) found.push_back({"prompt", "is empty"});
  for (const int64_t token : request.tokens) {
    if (token >= 0 && token < shape.vocabulary_size) continue;
    found.push_back({"prompt", absl::StrCat("token ", token,
                                            " is not in the vocabulary of ",
                                            shape.vocabulary_size)});
    break;
  }
  if (count > context) {
    found.push_back(
        {"prompt", absl::StrCat("has ", count,
                                " tokens, the model's context is ", context)});
  } else if (request.max_tokens < 0 || request.max_tokens > context - count) {
    found.push_back({"max_tokens",
                     absl::StrCat(request.max_tokens, " is not 0 to ",
                                  context - count, ": the context is ", context,
                                  " tokens, the prompt has ", count)});
  }
}

// Whether a score would be of a token that had its part in what gave it: tokens
// that fill slots see each other.
bool ScoresWhatFillsSlots(const GenerationRequest& request,
                          const lory::config::ModelShape& shape) {
  const auto count = static_cast<int64_t>(request.tokens.size());
  return shape.feed_forward == lory::config::FeedForwardKind::kSoftMoe &&
         request.score_prompt && request.routed_count >= count;
}

}  // namespace

absl::Status CheckRequest(const GenerationRequest& request,
                          const lory::config::ModelShape& shape) {
  std::vector<FieldViolation> found;
  CheckPrompt(request, shape, found);
  if (!shape.is_causal && request.inference == Inference::kSegment) {
    found.push_back(
        {"inference",
         absl::StrCat("is segment, but the model (", shape.feed_forward_summary,
                      ") routes by all of a text, which is not "
                      "there yet; prompt routes by the prompt")});
  }
  if (ScoresWhatFillsSlots(request, shape)) {
    found.push_back(
        {"logprobs",
         absl::StrCat("of a prompt are no likelihoods of a model (",
                      shape.feed_forward_summary,
                      ") whose prompt fills the slots, as each of its tokens "
                      "has seen itself; ask Score for a text after a context, "
                      "which then fills them alone, or leave out echo")});
  }
  const Sampling& sampling = request.sampling;
  // Written so that what is no number fails.
  if (!(sampling.temperature >= 0 && sampling.temperature <= kMaxTemperature)) {
    found.push_back(
        {"temperature", absl::StrCat("is not 0 to ", kMaxTemperature)});
  }
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    found.push_back({"top_p", "is not above 0 and up to 1"});
  }
  if (sampling.top_k < 0) found.push_back({"top_k", "is negative"});
  if (request.top_count < 0 || request.top_count > kMaxTopCount) {
    found.push_back({"logprobs", absl::StrCat("is not 0 to ", kMaxTopCount)});
  }
  if (request.stops.size() > kMaxStops) {
    found.push_back(
        {"stop", absl::StrCat("has more than ", kMaxStops, " texts")});
  }
  if (std::any_of(request.stops.begin(), request.stops.end(),
                  [](const std::string& stop) {
                    return stop.empty() || stop.size() > kMaxStopBytes;
                  })) {
    found.push_back(
        {"stop", absl::StrCat("texts have 1 to ", kMaxStopBytes, " bytes")});
  }
  return FieldErrors(std::move(found));
}

}  // namespace lory::serve
