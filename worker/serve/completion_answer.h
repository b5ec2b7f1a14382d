#ifndef LORY_WORKER_SERVE_COMPLETION_ANSWER_H_
#define LORY_WORKER_SERVE_COMPLETION_ANSWER_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "worker/serve/completion_request.h"
#include "worker/serve/front.h"
#include "worker/serve/generation.h"

namespace lory::serve {

// One choice of an answer of /v1/completions, from the pieces of its
// generation. Owned by the request. Thread-compatible.
class CompletionChoice {
 public:
  // `front` outlives it.
  CompletionChoice(const Front& front, int64_t index,
                   std::vector<int64_t> prompt,
                   const CompletionRequest& request);

  // What this piece adds: a choice as the API has it. Its finish_reason is null
  // until the last one.
  nlohmann::ordered_json Add(const GenerationPiece& piece);

  int64_t prompt_count() const { return static_cast<int64_t>(prompt_.size()); }
  int64_t made_count() const { return made_count_; }

 private:
  // A token that begins within a character has that character's offset.
  void AddToken(const TokenScore& score, nlohmann::ordered_json& logprobs);

  const Front& front_;
  const int64_t index_;
  const std::vector<int64_t> prompt_;
  const bool echo_;
  const bool with_scores_;
  bool first_ = true;
  bool at_begin_ = true;  // no token with a text was added yet
  int64_t made_count_ = 0;
  std::string held_back_;    // of the text: a character that is not whole yet
  int64_t text_offset_ = 0;  // characters before the next token, whole ones
  std::string open_bytes_;   // of the tokens: what follows those
};

// Joins what Add returned into one choice.
nlohmann::ordered_json JoinChoices(
    const std::vector<nlohmann::ordered_json>& pieces);

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_COMPLETION_ANSWER_H_
