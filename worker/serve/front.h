#ifndef LORY_WORKER_SERVE_FRONT_H_
#define LORY_WORKER_SERVE_FRONT_H_

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/text/tokenizer_file.h"
#include "worker/serve/engine.h"
#include "worker/serve/server_metrics.h"

namespace lory::serve {

// What gRPC and HTTP have in common: the model's texts, and the engine behind.
// All references outlive it. Thread-safe.
struct Front {
  const ServedModel& model;
  const lory::text::TokenizerFile& tokenizer;
  Engine& engine;
  ServerMetrics& metrics;
  Clock& clock;
  std::string model_name;
  Inference inference = Inference::kPrompt;  // where a request names none
  absl::Duration request_timeout = absl::Minutes(10);

  std::vector<int64_t> Encode(absl::string_view text) const {
    const std::vector<int32_t> ids = tokenizer.tokenizer->Encode(text);
    return {ids.begin(), ids.end()};
  }

  // The bytes of a text's tokens, which may end within a character.
  std::string Decode(const std::vector<int64_t>& tokens) const {
    return tokenizer.tokenizer->Decode({tokens.begin(), tokens.end()});
  }

  // Those of one token within a text.
  std::string TokenText(int64_t token) const {
    return tokenizer.tokenizer->TokenText(static_cast<int32_t>(token));
  }

  // As Encode, where the text that stands for the end of a document is that one
  // token, as other people's tokenizers have it.
  std::vector<int64_t> EncodeMarked(absl::string_view text) const {
    const int32_t end = tokenizer.tokenizer->end_of_document_id();
    if (tokenizer.end_of_document.empty() || end < 0) return Encode(text);
    std::vector<int64_t> tokens;
    for (const absl::string_view piece :
         absl::StrSplit(text, tokenizer.end_of_document)) {
      const std::vector<int64_t> more = Encode(piece);
      tokens.insert(tokens.end(), more.begin(), more.end());
      tokens.push_back(end);
    }
    tokens.pop_back();  // there is one less than there are pieces
    return tokens;
  }
  std::string DecodeMarked(const std::vector<int64_t>& tokens) const {
    const int32_t end = tokenizer.tokenizer->end_of_document_id();
    std::string text;
    std::vector<int64_t> piece;
    for (const int64_t token : tokens) {
      if (token != end) {
        piece.push_back(token);
        continue;
      }
      text += Decode(piece) + tokenizer.end_of_document;
      piece.clear();
    }
    return text + Decode(piece);
  }

  absl::Time Deadline() const { return clock.MonotonicNow() + request_timeout; }
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_FRONT_H_
