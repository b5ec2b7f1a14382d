#include "worker/serve/completion_request.h"

#include <functional>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "simdjson.h"

namespace lory::serve {
namespace {

namespace json = simdjson::dom;

// {"prompt": [[1, 2]]} has three.
constexpr size_t kMaxDepth = 8;
constexpr size_t kMaxNameShown = 60;
constexpr int64_t kAbsent = std::numeric_limits<int64_t>::min();

// Takes a field's value; says what is wrong with it, or nothing.
using Take = std::function<std::string(json::element)>;
using Fields = std::map<std::string, Take>;

// simdjson hands out std::string_view, which does not become absl's.
template <typename View>
std::string Text(const View& view) {
  return std::string(view.data(), view.size());
}

template <typename T>
Take Into(T& target, const char* what) {
  return [&target, what](json::element value) -> std::string {
    return value.get(target) == simdjson::SUCCESS ? "" : what;
  };
}

Take IntoInteger(int64_t& target) { return Into(target, "is no integer"); }
Take IntoNumber(double& target) { return Into(target, "is no number"); }
Take IntoBool(bool& target) { return Into(target, "is not true or false"); }

std::string TakeText(json::element value, std::string& target) {
  if (!value.is_string()) return "is no text";
  target = Text(value.get_string().value_unsafe());
  return "";
}

Take IntoText(std::string& target) {
  return [&target](json::element value) { return TakeText(value, target); };
}

// What other servers may do and this one does not: only where it asks for
// nothing.
Take Only(double wanted, const char* what) {
  return [wanted, what](json::element value) -> std::string {
    double number = 0;
    return value.get(number) == simdjson::SUCCESS && number == wanted ? ""
                                                                      : what;
  };
}

Take OnlyEmpty(const char* what) {
  return [what](json::element value) -> std::string {
    json::object object;
    const bool empty =
        (value.is_string() && value.get_string().value_unsafe().empty()) ||
        (value.get(object) == simdjson::SUCCESS && object.size() == 0);
    return empty ? "" : what;
  };
}

Take Ignored() {
  return [](json::element) { return std::string(); };
}

absl::Status ReadFields(const std::string& body, const Fields& fields,
                        const std::set<std::string>& required) {
  json::parser parser;
  json::object object;
  if (parser.allocate(body.size() + 1, kMaxDepth) != simdjson::SUCCESS) {
    return absl::ResourceExhaustedError("no memory for the body");
  }
  const auto error = parser.parse(body.data(), body.size()).get(object);
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the body is no JSON object: ", simdjson::error_message(error)));
  }
  std::vector<FieldViolation> found;
  std::set<std::string> seen;
  for (const auto& [key, value] : object) {
    const std::string name = Text(key);
    const auto field = fields.find(name);
    if (field == fields.end()) {
      const std::string known =
          absl::StrJoin(fields, ", ", [](std::string* out, const auto& entry) {
            out->append(entry.first);
          });
      found.push_back({absl::CEscape(name.substr(0, kMaxNameShown)),
                       absl::StrCat("is not known; known are ", known)});
      continue;
    }
    if (!seen.insert(name).second) {
      found.push_back({name, "is there twice"});
      continue;
    }
    if (value.is_null()) {
      seen.erase(name);
      continue;
    }
    const std::string wrong = field->second(value);
    if (!wrong.empty()) found.push_back({name, wrong});
  }
  for (const std::string& name : required) {
    if (!seen.contains(name)) found.push_back({name, "is missing"});
  }
  return FieldErrors(std::move(found));
}

bool TakeTokens(json::array array, std::vector<int64_t>& tokens) {
  for (const json::element element : array) {
    int64_t token = 0;
    if (element.get(token) != simdjson::SUCCESS) return false;
    tokens.push_back(token);
  }
  return true;
}

// "text", ["text", ...], [1, 2], [[1, 2], ...]
std::string TakePrompts(json::element value, std::vector<Prompt>& prompts) {
  constexpr char kWrong[] =
      "is no text, no list of texts, no list of tokens and no list of those";
  json::array array;
  if (value.is_string()) {
    prompts.emplace_back(Text(value.get_string().value_unsafe()));
    return "";
  }
  if (value.get(array) != simdjson::SUCCESS) return kWrong;
  if (array.size() == 0) return "is empty";
  if (array.at(0).is_int64()) {
    std::vector<int64_t> tokens;
    if (!TakeTokens(array, tokens)) return kWrong;
    prompts.emplace_back(std::move(tokens));
    return "";
  }
  for (const json::element element : array) {
    json::array inner;
    std::vector<int64_t> tokens;
    if (element.is_string()) {
      prompts.emplace_back(Text(element.get_string().value_unsafe()));
    } else if (element.get(inner) == simdjson::SUCCESS &&
               TakeTokens(inner, tokens)) {
      prompts.emplace_back(std::move(tokens));
    } else {
      return kWrong;
    }
  }
  return "";
}

std::string TakeStops(json::element value, std::vector<std::string>& stops) {
  json::array array;
  if (value.is_string()) {
    return TakeText(value, stops.emplace_back());
  }
  if (value.get(array) != simdjson::SUCCESS) {
    return "is no text and no list of texts";
  }
  for (const json::element element : array) {
    std::string wrong = TakeText(element, stops.emplace_back());
    if (!wrong.empty()) return "holds something else than texts";
  }
  return "";
}

std::string TakeInference(json::element value, CompletionRequest& request) {
  std::string name;
  const bool is_text = TakeText(value, name).empty();
  if (!is_text || (name != "prompt" && name != "segment")) {
    return "is not prompt or segment";
  }
  request.options.inference =
      name == "prompt" ? Inference::kPrompt : Inference::kSegment;
  request.inference_given = true;
  return "";
}

std::string TakeSeed(json::element value, CompletionRequest& request) {
  int64_t seed = 0;
  if (value.get(seed) != simdjson::SUCCESS) return "is no integer";
  request.options.sampling.seed = static_cast<uint64_t>(seed);
  request.seeded = true;
  return "";
}

// {"include_usage": true}
std::string TakeStreamOptions(json::element value, bool& include_usage) {
  json::object object;
  if (value.get(object) != simdjson::SUCCESS) return "is no object";
  for (const auto& [key, option] : object) {
    if (Text(key) != "include_usage") {
      return absl::StrCat("has ",
                          absl::CEscape(Text(key).substr(0, kMaxNameShown)),
                          ", which is not known; known is include_usage");
    }
    if (option.is_null()) continue;
    if (option.get(include_usage) != simdjson::SUCCESS) {
      return "has an include_usage that is not true or false";
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<CompletionRequest> ParseCompletionRequest(
    const std::string& body) {
  CompletionRequest request;
  GenerationRequest& options = request.options;
  // As OpenAI's API has them.
  options.max_tokens = 16;
  options.sampling.temperature = 1;
  int64_t max_tokens = kAbsent;
  int64_t logprobs = kAbsent;
  bool has_stream_options = false;
  const Fields fields = {
      {"prompt",
       [&](json::element value) {
         return TakePrompts(value, request.prompts);
       }},
      {"stop",
       [&](json::element value) { return TakeStops(value, options.stops); }},
      {"inference",
       [&](json::element value) { return TakeInference(value, request); }},
      {"seed", [&](json::element value) { return TakeSeed(value, request); }},
      {"model", IntoText(request.model)},
      {"max_tokens", IntoInteger(max_tokens)},
      {"temperature", IntoNumber(options.sampling.temperature)},
      {"top_p", IntoNumber(options.sampling.top_p)},
      {"top_k", IntoInteger(options.sampling.top_k)},
      {"logprobs", IntoInteger(logprobs)},
      {"add_special_tokens", IntoBool(request.add_special_tokens)},
      {"echo", IntoBool(request.echo)},
      {"stream", IntoBool(request.stream)},
      {"stream_options",
       [&](json::element value) {
         has_stream_options = true;
         return TakeStreamOptions(value, request.include_usage);
       }},
      {"user", Ignored()},
      {"n", Only(1, "must be 1: ask again with another seed")},
      {"best_of", Only(1, "must be 1")},
      {"presence_penalty", Only(0, "must be 0")},
      {"frequency_penalty", Only(0, "must be 0")},
      {"suffix", OnlyEmpty("is not supported")},
      {"logit_bias", OnlyEmpty("is not supported")},
  };
  LORY_RETURN_IF_ERROR(ReadFields(body, fields, {"prompt"}));
  if (has_stream_options && !request.stream) {
    return FieldErrors({{"stream_options", "goes with stream: true alone"}});
  }
  if (max_tokens != kAbsent) {
    request.max_tokens_given = true;
    options.max_tokens = max_tokens;
  }
  if (logprobs != kAbsent) {
    request.logprobs = logprobs;
    options.top_count = logprobs;
    options.score = true;
    options.score_prompt = request.echo;
  }
  return request;
}

absl::StatusOr<TokenizeRequest> ParseTokenizeRequest(const std::string& body) {
  TokenizeRequest request;
  const Fields fields = {
      {"prompt", IntoText(request.prompt)},
      {"model", IntoText(request.model)},
      {"add_special_tokens", IntoBool(request.add_special_tokens)},
      {"return_token_strs", IntoBool(request.return_token_strs)}};
  LORY_RETURN_IF_ERROR(ReadFields(body, fields, {"prompt"}));
  return request;
}

absl::StatusOr<DetokenizeRequest> ParseDetokenizeRequest(
    const std::string& body) {
  DetokenizeRequest request;
  const Fields fields = {{"tokens",
                          [&](json::element value) -> std::string {
                            json::array array;
                            return value.get(array) == simdjson::SUCCESS &&
                                           TakeTokens(array, request.tokens)
                                       ? ""
                                       : "is no list of integers";
                          }},
                         {"model", IntoText(request.model)}};
  LORY_RETURN_IF_ERROR(ReadFields(body, fields, {"tokens"}));
  return request;
}

}  // namespace lory::serve
