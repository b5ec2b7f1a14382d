#include "worker/serve/completion_answer.h"

#include <utility>

#include "worker/serve/utf8.h"

namespace lory::serve {
namespace {

using nlohmann::ordered_json;

constexpr const char* kScoreLists[] = {"tokens", "token_logprobs",
                                       "top_logprobs", "text_offset"};

// Adds `more` to the bytes in `open`; takes out what ends with a character.
std::string TakeWhole(std::string& open, const std::string& more) {
  open += more;
  const size_t whole = open.size() - OpenCharacter(open);
  std::string text = open.substr(0, whole);
  open.erase(0, whole);
  return text;
}

}  // namespace

CompletionChoice::CompletionChoice(const Front& front, int64_t index,
                                   std::vector<int64_t> prompt,
                                   const CompletionRequest& request)
    : front_(front),
      index_(index),
      prompt_(std::move(prompt)),
      echo_(request.echo),
      with_scores_(request.logprobs.has_value()) {}

void CompletionChoice::AddToken(const TokenScore& score,
                                ordered_json& logprobs) {
  // The first with a text is the begin of one, as it is where that is decoded.
  std::string bytes = front_.TokenText(score.token);
  const bool at_begin = echo_ && at_begin_;
  at_begin_ = at_begin_ && bytes.empty();
  if (at_begin) bytes = front_.Decode({score.token});
  logprobs["tokens"].push_back(ValidUtf8(bytes));
  logprobs["token_logprobs"].push_back(score.log_probability);
  ordered_json top = ordered_json::object();
  for (const auto& [token, value] : score.top) {
    // Of tokens that read alike the likeliest, which comes first.
    top.emplace(ValidUtf8(front_.TokenText(token)), value);
  }
  logprobs["top_logprobs"].push_back(std::move(top));
  logprobs["text_offset"].push_back(text_offset_);
  text_offset_ += CharacterCount(ValidUtf8(TakeWhole(open_bytes_, bytes)));
}

ordered_json CompletionChoice::Add(const GenerationPiece& piece) {
  std::string text;
  ordered_json logprobs;
  if (with_scores_) {
    for (const char* list : kScoreLists) logprobs[list] = ordered_json::array();
  }
  if (std::exchange(first_, false) && echo_) {
    text = front_.Decode(prompt_);
    if (with_scores_) {
      // Nothing comes before the first token that could make it likely.
      AddToken({prompt_.front(), 0, {}}, logprobs);
      logprobs["token_logprobs"][0] = nullptr;
      logprobs["top_logprobs"][0] = nullptr;
      for (const TokenScore& score : piece.prompt_scores) {
        AddToken(score, logprobs);
      }
    }
  }
  if (with_scores_) {
    for (const TokenScore& score : piece.scores) AddToken(score, logprobs);
  }
  made_count_ += static_cast<int64_t>(piece.tokens.size());
  // The end of the prompt may be half a character, which the answer ends.
  text = TakeWhole(held_back_, text + piece.text);
  if (piece.finish) text += std::exchange(held_back_, "");
  ordered_json choice = {{"index", index_},
                         {"text", ValidUtf8(text)},
                         {"logprobs", std::move(logprobs)},
                         {"finish_reason", nullptr}};
  if (piece.finish) {
    choice["finish_reason"] =
        *piece.finish == FinishReason::kStop ? "stop" : "length";
  }
  return choice;
}

ordered_json JoinChoices(const std::vector<ordered_json>& pieces) {
  ordered_json whole = pieces.front();
  std::string text = whole["text"];
  for (size_t i = 1; i < pieces.size(); ++i) {
    text += pieces[i]["text"].get<std::string>();
    whole["finish_reason"] = pieces[i]["finish_reason"];
    if (whole["logprobs"].is_null()) continue;
    for (const char* list : kScoreLists) {
      for (const ordered_json& entry : pieces[i]["logprobs"][list]) {
        whole["logprobs"][list].push_back(entry);
      }
    }
  }
  whole["text"] = std::move(text);
  return whole;
}

}  // namespace lory::serve
