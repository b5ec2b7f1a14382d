#include "worker/serve/http_api.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "worker/serve/utf8.h"

namespace lory::serve {
namespace {

using ::lory::http::Response;
using nlohmann::ordered_json;

constexpr char kJson[] = "application/json";
// How long who left may go unseen, between tokens or in the queue.
constexpr absl::Duration kHttpPatience = absl::Milliseconds(100);

int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

std::string Dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json ErrorJson(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  const auto violations = FieldViolationsOf(status);
  ordered_json error = {
      {"message", std::string(status.message())},
      {"type", absl::AsciiStrToLower(absl::StatusCodeToString(status.code()))},
      {"param", nullptr},
      {"code", nullptr}};
  if (!violations.empty()) error["param"] = violations.front().field;
  if (!reason.empty()) error["code"] = reason;
  return {{"error", error}};
}

Response ErrorResponse(const absl::Status& status) {
  return {.status = HttpStatus(status.code()),
          .content_type = kJson,
          .body = Dump(ErrorJson(status)) + "\n"};
}

Response JsonResponse(const ordered_json& json) {
  return {.content_type = kJson, .body = Dump(json) + "\n"};
}

// A piece of choice `index`.
struct ChoicePiece {
  size_t index = 0;
  GenerationPiece piece;
};

// The next piece of any choice. CANCELLED: the reader left; otherwise as
// Generation::Next.
absl::StatusOr<ChoicePiece> NextOf(PieceQueue& pieces,
                                   const lory::http::ReaderLeft& reader_left) {
  while (!reader_left()) {
    auto next = pieces.Next(kHttpPatience);
    if (!next) continue;
    if (!next->piece.ok()) return next->piece.status();
    return ChoicePiece{next->index, *std::move(next->piece)};
  }
  return absl::CancelledError("the reader left");
}

ordered_json UsageOf(const std::vector<CompletionChoice>& choices) {
  int64_t prompt_count = 0;
  int64_t made_count = 0;
  for (const CompletionChoice& choice : choices) {
    prompt_count += choice.prompt_count();
    made_count += choice.made_count();
  }
  return {{"prompt_tokens", prompt_count},
          {"completion_tokens", made_count},
          {"total_tokens", prompt_count + made_count}};
}

}  // namespace

// What is asked must be of this model, if it says of which.
absl::Status HttpApi::CheckModel(const std::string& name) const {
  if (name.empty() || name == front_.model_name) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("model: this server has ", front_.model_name, " alone"));
}

// ---- completions ----

absl::StatusOr<std::shared_ptr<HttpApi::Open>> HttpApi::Begin(
    const std::string& body) {
  auto open = std::make_shared<Open>();
  open->since = front_.clock.MonotonicNow();
  open->id = absl::StrCat("cmpl-", SecureRandomHex(12));
  open->created = absl::ToUnixSeconds(front_.clock.WallNow());
  LORY_ASSIGN_OR_RETURN(open->request, ParseCompletionRequest(body));
  CompletionRequest& request = open->request;
  LORY_RETURN_IF_ERROR(CheckModel(request.model));
  const int64_t most = front_.engine.max_queued();
  if (static_cast<int64_t>(request.prompts.size()) > most) {
    return FieldErrors(
        {{"prompt", absl::StrCat("has ", request.prompts.size(),
                                 " prompts, this server takes ", most,
                                 " at once (--max-queued)")}});
  }
  for (const Prompt& prompt : request.prompts) {
    GenerationRequest asked = request.options;
    const auto* text = std::get_if<std::string>(&prompt);
    asked.tokens = text != nullptr
                       ? front_.EncodePrompt(*text, request.add_special_tokens)
                       : std::get<std::vector<int64_t>>(prompt);
    if (!request.max_tokens_given) {
      const int64_t left = front_.model.shape().sequence_length -
                           static_cast<int64_t>(asked.tokens.size());
      asked.max_tokens = std::clamp<int64_t>(left, 1, asked.max_tokens);
    }
    asked.deadline = front_.Deadline();
    if (!request.inference_given) asked.inference = front_.inference;
    if (!request.seeded)
      asked.sampling.seed =
          Mix64(absl::ToUnixNanos(front_.clock.MonotonicNow()));
    std::vector<int64_t> tokens = asked.tokens;
    LORY_ASSIGN_OR_RETURN(auto generation,
                          front_.engine.Submit(std::move(asked), open->pieces,
                                               open->choices.size()));
    open->choices.emplace_back(front_, open->choices.size(), std::move(tokens),
                               request);
    open->generations.push_back(std::move(generation));
  }
  return open;
}

ordered_json HttpApi::Envelope(const Open& open) const {
  return {{"id", open.id},
          {"object", "text_completion"},
          {"created", open.created},
          {"model", front_.model_name}};
}

absl::StatusOr<std::string> HttpApi::Whole(
    Open& open, const lory::http::ReaderLeft& reader_left) {
  std::vector<std::vector<ordered_json>> parts(open.choices.size());
  for (size_t left = parts.size(); left > 0;) {
    LORY_ASSIGN_OR_RETURN(const ChoicePiece next,
                          NextOf(*open.pieces, reader_left));
    parts[next.index].push_back(open.choices[next.index].Add(next.piece));
    if (next.piece.finish) --left;
  }
  ordered_json json = Envelope(open);
  json["choices"] = ordered_json::array();
  for (const auto& pieces : parts) {
    json["choices"].push_back(JoinChoices(pieces));
  }
  json["usage"] = UsageOf(open.choices);
  return Dump(json) + "\n";
}

absl::Status HttpApi::Stream(Open& open, const lory::http::BodyWriter& write,
                             const lory::http::ReaderLeft& reader_left) {
  const auto send = [&](const ordered_json& json) {
    return write(absl::StrCat("data: ", Dump(json), "\n\n"));
  };
  const bool with_usage = open.request.include_usage;
  ordered_json json = Envelope(open);
  for (size_t left = open.choices.size(); left > 0;) {
    const auto next = NextOf(*open.pieces, reader_left);
    if (!next.ok()) {
      send(ErrorJson(next.status()));
      return next.status();
    }
    json["choices"] = {open.choices[next->index].Add(next->piece)};
    if (with_usage) json["usage"] = nullptr;
    if (!send(json)) return absl::CancelledError("the reader left");
    if (next->piece.finish) --left;
  }
  if (with_usage) {
    json["choices"] = ordered_json::array();
    json["usage"] = UsageOf(open.choices);
    if (!send(json)) return absl::CancelledError("the reader left");
  }
  write("data: [DONE]\n\n");  // all was said: who left has it
  return absl::OkStatus();
}

void HttpApi::Count(const Open& open, const absl::Status& status) {
  open.Leave();  // what is counted as cancelled works no more
  front_.metrics.Answered("completions", status.code(),
                          front_.clock.MonotonicNow() - open.since);
}

Response HttpApi::Complete(const std::string& body,
                           const lory::http::ReaderLeft& reader_left) {
  const auto begun = Begin(body);
  if (!begun.ok()) {
    Count({.since = front_.clock.MonotonicNow()}, begun.status());
    return ErrorResponse(begun.status());
  }
  const std::shared_ptr<Open> open = *begun;
  if (open->request.stream) {
    return {.content_type = "text/event-stream",
            .stream = [this, open,
                       reader_left](const lory::http::BodyWriter& write) {
              Count(*open, Stream(*open, write, reader_left));
            }};
  }
  const absl::StatusOr<std::string> whole = Whole(*open, reader_left);
  Count(*open, whole.status());
  if (!whole.ok()) return ErrorResponse(whole.status());
  return {.content_type = kJson, .body = *whole};
}

// ---- the tokenizer ----

Response HttpApi::Tokenize(const std::string& body) const {
  const auto request = ParseTokenizeRequest(body);
  if (!request.ok()) return ErrorResponse(request.status());
  if (const absl::Status known = CheckModel(request->model); !known.ok()) {
    return ErrorResponse(known);
  }
  const std::vector<int64_t> tokens =
      front_.EncodePrompt(request->prompt, request->add_special_tokens);
  ordered_json json = {{"count", tokens.size()},
                       {"max_model_len", front_.model.shape().sequence_length},
                       {"tokens", tokens}};
  if (request->return_token_strs) {
    std::vector<std::string> texts;
    for (const int64_t token : tokens) {
      texts.push_back(ValidUtf8(front_.Spelling(token)));
    }
    json["token_strs"] = std::move(texts);
  }
  return JsonResponse(json);
}

Response HttpApi::Detokenize(const std::string& body) const {
  const auto request = ParseDetokenizeRequest(body);
  if (!request.ok()) return ErrorResponse(request.status());
  if (const absl::Status known = CheckModel(request->model); !known.ok()) {
    return ErrorResponse(known);
  }
  const int64_t size = front_.model.shape().vocabulary_size;
  for (const int64_t token : request->tokens) {
    if (token >= 0 && token < size) continue;
    return ErrorResponse(FieldErrors(
        {{"tokens", absl::StrCat("token ", token,
                                 " is not in the vocabulary of ", size)}}));
  }
  return JsonResponse(
      {{"prompt", ValidUtf8(front_.DecodeMarked(request->tokens))}});
}

std::map<std::string, lory::http::Handler> HttpApi::Pages() {
  std::map<std::string, lory::http::Handler> pages;
  pages["/health"] = [](const std::string&) {
    return Response{.body = "ok\n"};
  };
  pages["/healthz"] = pages["/health"];
  pages["/metrics"] = [this](const std::string&) {
    return Response{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                    .body = front_.metrics.Serialize()};
  };
  pages["/v1/models"] = [this](const std::string&) {
    return JsonResponse(
        {{"object", "list"},
         {"data",
          {{{"id", front_.model_name},
            {"object", "model"},
            {"owned_by", front_.model.manifest().job},
            {"max_model_len", front_.model.shape().sequence_length}}}}});
  };
  pages["/tokenizer_info"] = [this](const std::string&) {
    const text::Tokenizer& tokenizer = *front_.tokenizer.tokenizer;
    const text::TextMarks marks = tokenizer.marks();
    const std::string& end = front_.tokenizer.end_of_document;
    const std::string begin = marks.before.empty() ? end  // as GPT-2 has it
                                                   : tokenizer.begin_of_text();
    const auto text_or_null = [](const std::string& text) {
      return text.empty() ? ordered_json() : ordered_json(text);
    };
    return JsonResponse(
        {{"tokenizer_class", "PreTrainedTokenizerFast"},
         {"add_bos_token", !marks.before.empty()},
         {"add_eos_token", !marks.after.empty()},
         {"bos_token", text_or_null(begin)},
         {"eos_token", text_or_null(end)},
         {"pad_token", text_or_null(end)},
         {"chat_template", nullptr},
         {"vocab_size", front_.model.shape().vocabulary_size},
         {"model_max_length", front_.model.shape().sequence_length}});
  };
  return pages;
}

std::map<std::string, lory::http::PostHandler> HttpApi::Posts() {
  using lory::http::ReaderLeft;
  return {{"/v1/completions",
           [this](const std::string& body, const ReaderLeft& reader_left) {
             return Complete(body, reader_left);
           }},
          {"/tokenize", [this](const std::string& body,
                               const ReaderLeft&) { return Tokenize(body); }},
          {"/detokenize", [this](const std::string& body, const ReaderLeft&) {
             return Detokenize(body);
           }}};
}

}  // namespace lory::serve
