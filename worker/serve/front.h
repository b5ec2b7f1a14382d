#ifndef LORY_WORKER_SERVE_FRONT_H_
#define LORY_WORKER_SERVE_FRONT_H_

#include <string>
#include <vector>

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

  // A text in which the marks that begin texts and end documents, as they are
  // written, are those tokens, as other people's tokenizers have it.
  std::vector<int64_t> Encode(absl::string_view text) const;
  // The same between the tokenizer's marks, if they are asked for.
  std::vector<int64_t> EncodePrompt(absl::string_view text,
                                    bool add_special_tokens) const;

  // The bytes of a text's tokens, which may end within a character.
  std::string Decode(const std::vector<int64_t>& tokens) const {
    return tokenizer.tokenizer->Decode({tokens.begin(), tokens.end()});
  }

  // Those of one token within a text.
  std::string TokenText(int64_t token) const {
    return tokenizer.tokenizer->TokenText(static_cast<int32_t>(token));
  }

  // The same, and marks as they are written.
  std::string Spelling(int64_t token) const;

  // The way back from Encode. What begins a text becomes nothing, as it would
  // be put there again.
  std::string DecodeMarked(const std::vector<int64_t>& tokens) const;

  absl::Time Deadline() const { return clock.MonotonicNow() + request_timeout; }
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_FRONT_H_
