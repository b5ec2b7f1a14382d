#include "worker/serve/inference_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "common/rpc/status_convert.h"
#include "worker/serve/utf8.h"

namespace lory::serve {
namespace {

// How soon a caller that leaves while nothing is written is noticed.
constexpr absl::Duration kPatience = absl::Milliseconds(100);

// The next piece; CANCELLED when the caller left.
absl::StatusOr<GenerationPiece> NextOf(Generation& generation,
                                       const grpc::ServerContext& context) {
  while (true) {
    if (context.IsCancelled()) return absl::CancelledError("the caller left");
    auto piece = generation.Next(kPatience);
    if (piece.has_value()) return *std::move(piece);
  }
}

// Not given: yes, as prompts over HTTP.
template <typename Request>
bool AddsMarks(const Request& request) {
  return !request.has_add_special_tokens() || request.add_special_tokens();
}

// What `whole` has more than `begin`, by count: that a text stands behind
// another is what its tokens depend on, such as the space that some tokenizers
// put before a text. As lm_eval and lory-model eval do it.
std::vector<int64_t> TokensAfter(const std::vector<int64_t>& begin,
                                 const std::vector<int64_t>& whole) {
  const auto from = static_cast<int64_t>(std::min(begin.size(), whole.size()));
  return {whole.begin() + from, whole.end()};
}

// That the tokens of `field` and what comes before them are a prompt that the
// model takes. The engine looks, too, but calls them all a prompt.
absl::Status CheckFits(const GenerationRequest& request,
                       const ServedModel& model, const char* field,
                       const char* before = "") {
  const auto count = static_cast<int64_t>(request.tokens.size());
  const int64_t context = model.shape().sequence_length;
  if (count == 0) return FieldErrors({{field, "is empty"}});
  if (count <= context) return absl::OkStatus();
  return FieldErrors(
      {{field, absl::StrCat("has ", count, " tokens", before,
                            ", the model's context is ", context)}});
}

// A response must fit a message of gRPC, 4 MiB.
constexpr int64_t kMostShares = 400'000;

absl::Status CheckRouteSize(const GenerationRequest& request,
                            const ServedModel& model) {
  const auto tokens = static_cast<int64_t>(request.tokens.size());
  if (request.inference == Inference::kPrompt || tokens == 0) {
    return absl::OkStatus();
  }
  const int64_t shares = model.router(0).unit().DecisionsOf(tokens) *
                         model.shape().layer_count * model.shape().expert_count;
  if (shares <= kMostShares) return absl::OkStatus();
  return FieldErrors(
      {{"text", absl::StrCat("gives ", shares,
                             " shares (decisions x layers x "
                             "experts), a response holds ",
                             kMostShares,
                             ": send less, or ask for INFERENCE_PROMPT, the "
                             "mean over tokens")}});
}

}  // namespace

absl::StatusOr<Inference> InferenceServiceRpc::InferenceOf(
    lory::v1::Inference inference) const {
  switch (inference) {
    case lory::v1::INFERENCE_UNSPECIFIED:
      return front_.inference;
    case lory::v1::INFERENCE_PROMPT:
      return Inference::kPrompt;
    case lory::v1::INFERENCE_SEGMENT:
      return Inference::kSegment;
    default:
      return FieldErrors({{"inference", "is no value of lory.v1.Inference"}});
  }
}

absl::Time InferenceServiceRpc::DeadlineOf(
    const grpc::ServerContext& context) const {
  const absl::Duration left =
      absl::FromChrono(context.deadline()) - front_.clock.WallNow();
  return std::min(front_.Deadline(), front_.clock.MonotonicNow() + left);
}

grpc::Status InferenceServiceRpc::Finish(const char* method, absl::Time since,
                                         const absl::Status& status) {
  front_.metrics.Answered(method, status.code(),
                          front_.clock.MonotonicNow() - since);
  return lory::rpc::ToGrpc(status);
}

absl::Status InferenceServiceRpc::Stream(
    grpc::ServerContext& context, const lory::v1::GenerateRequest& request,
    grpc::ServerWriter<lory::v1::GenerateResponse>& writer) {
  GenerationRequest asked;
  LORY_ASSIGN_OR_RETURN(asked.inference, InferenceOf(request.inference()));
  if (request.max_tokens() < 1) {
    return FieldErrors({{"max_tokens", "must be 1 or more"}});
  }
  asked.tokens = front_.EncodePrompt(request.prompt(), AddsMarks(request));
  asked.max_tokens = request.max_tokens();
  asked.sampling = {.temperature = request.temperature(),
                    .top_p = request.top_p() == 0 ? 1 : request.top_p(),
                    .top_k = request.top_k(),
                    .seed = static_cast<uint64_t>(request.seed())};
  asked.stops = {request.stop().begin(), request.stop().end()};
  asked.deadline = DeadlineOf(context);
  const auto prompt_tokens = static_cast<int32_t>(asked.tokens.size());
  LORY_ASSIGN_OR_RETURN(const auto generation,
                        front_.engine.Submit(std::move(asked)));
  const absl::Cleanup leave = [&] { generation->Cancel(); };
  while (true) {
    LORY_ASSIGN_OR_RETURN(const GenerationPiece piece,
                          NextOf(*generation, context));
    lory::v1::GenerateResponse response;
    response.set_text(ValidUtf8(piece.text));
    response.set_token_count(static_cast<int32_t>(piece.tokens.size()));
    if (piece.finish) {
      response.set_prompt_token_count(prompt_tokens);
      response.set_finish_reason(*piece.finish == FinishReason::kStop
                                     ? lory::v1::GenerateResponse::STOP
                                     : lory::v1::GenerateResponse::LENGTH);
    }
    if (!writer.Write(response)) return absl::CancelledError("the caller left");
    if (piece.finish) return absl::OkStatus();
  }
}

absl::StatusOr<GenerationPiece> InferenceServiceRpc::ReadOnly(
    grpc::ServerContext& context, GenerationRequest request) {
  request.deadline = DeadlineOf(context);
  LORY_ASSIGN_OR_RETURN(const auto generation,
                        front_.engine.Submit(std::move(request)));
  const absl::Cleanup leave = [&] { generation->Cancel(); };
  return NextOf(*generation, context);
}

absl::Status InferenceServiceRpc::ScoreText(
    grpc::ServerContext& context, const lory::v1::ScoreRequest& request,
    lory::v1::ScoreResponse& response) {
  if (request.text().empty()) return FieldErrors({{"text", "is empty"}});
  GenerationRequest asked;
  LORY_ASSIGN_OR_RETURN(asked.inference, InferenceOf(request.inference()));
  if (AddsMarks(request)) {
    const auto before = front_.tokenizer.tokenizer->marks().before;
    asked.tokens = {before.begin(), before.end()};
  }
  const std::vector<int64_t> given = front_.Encode(request.context());
  if (given.empty() && front_.model.shape().feed_forward ==
                           lory::config::FeedForwardKind::kSoftMoe) {
    return FieldErrors(
        {{"context", absl::StrCat("is empty: it fills the slots of the model (",
                                  front_.model.shape().feed_forward_summary,
                                  "), and what fills them cannot be scored")}});
  }
  const std::vector<int64_t> text =
      TokensAfter(given, front_.Encode(request.context() + request.text()));
  if (text.empty()) {
    return FieldErrors({{"text", "adds no token to the context"}});
  }
  asked.tokens.insert(asked.tokens.end(), given.begin(), given.end());
  if (!given.empty()) {
    LORY_RETURN_IF_ERROR(CheckFits(asked, front_.model, "context"));
  }
  const size_t context_count = asked.tokens.size();
  // A mark alone decides nothing.
  if (!given.empty()) asked.routed_count = static_cast<int64_t>(context_count);
  asked.tokens.insert(asked.tokens.end(), text.begin(), text.end());
  LORY_RETURN_IF_ERROR(CheckFits(asked, front_.model, "text",
                                 given.empty() ? "" : " with its context"));
  asked.score_prompt = true;
  LORY_ASSIGN_OR_RETURN(const GenerationPiece piece,
                        ReadOnly(context, std::move(asked)));
  // Scores begin with the second token of all.
  const size_t first = context_count == 0 ? 0 : context_count - 1;
  for (size_t i = first; i < piece.prompt_scores.size(); ++i) {
    response.add_log_probabilities(piece.prompt_scores[i].log_probability);
  }
  response.mutable_tokens()->Add(text.begin(), text.end());
  return absl::OkStatus();
}

absl::Status InferenceServiceRpc::RouteText(
    grpc::ServerContext& context, const lory::v1::RouteRequest& request,
    lory::v1::RouteResponse& response) {
  if (!front_.model.has_experts()) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                           "MODEL_IS_DENSE",
                           "the model is dense: it has no experts to route to");
  }
  GenerationRequest asked;
  LORY_ASSIGN_OR_RETURN(asked.inference, InferenceOf(request.inference()));
  asked.tokens = front_.EncodePrompt(request.text(), AddsMarks(request));
  response.set_token_count(static_cast<int32_t>(asked.tokens.size()));
  LORY_RETURN_IF_ERROR(CheckRouteSize(asked, front_.model));
  LORY_RETURN_IF_ERROR(CheckFits(asked, front_.model, "text"));
  asked.wants_routing = true;
  LORY_ASSIGN_OR_RETURN(const GenerationPiece piece,
                        ReadOnly(context, std::move(asked)));
  for (const std::vector<Routing>& layer : piece.routing) {
    lory::v1::RouteResponse::Layer& out = *response.add_layers();
    for (const Routing& segment : layer) {
      out.add_segments()->mutable_weights()->Add(segment.begin(),
                                                 segment.end());
    }
  }
  return absl::OkStatus();
}

grpc::Status InferenceServiceRpc::Generate(
    grpc::ServerContext* context, const lory::v1::GenerateRequest* request,
    grpc::ServerWriter<lory::v1::GenerateResponse>* writer) {
  const absl::Time since = front_.clock.MonotonicNow();
  return Finish("Generate", since, Stream(*context, *request, *writer));
}

grpc::Status InferenceServiceRpc::Score(grpc::ServerContext* context,
                                        const lory::v1::ScoreRequest* request,
                                        lory::v1::ScoreResponse* response) {
  const absl::Time since = front_.clock.MonotonicNow();
  return Finish("Score", since, ScoreText(*context, *request, *response));
}

grpc::Status InferenceServiceRpc::Route(grpc::ServerContext* context,
                                        const lory::v1::RouteRequest* request,
                                        lory::v1::RouteResponse* response) {
  const absl::Time since = front_.clock.MonotonicNow();
  return Finish("Route", since, RouteText(*context, *request, *response));
}

}  // namespace lory::serve
