#ifndef LORY_WORKER_SERVE_GENERATION_REQUEST_H_
#define LORY_WORKER_SERVE_GENERATION_REQUEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "worker/serve/sampler.h"

// What a text is asked with, without LibTorch, as who reads requests needs
// none.
namespace lory::serve {

// How the experts of a Lory model are merged. Other variants know one way.
enum class Inference {
  kPrompt,   // once, by the mean over the prompt; then the model is dense
  kSegment,  // anew for each segment, by the one before, as in training
};

// What somebody asks of the model.
struct GenerationRequest {
  std::vector<int64_t> tokens;  // the prompt
  Inference inference = Inference::kPrompt;
  // Tokens, from the first, that decide where others would look ahead; 0: all.
  int64_t routed_count = 0;
  int64_t max_tokens = 0;  // 0: only reads the prompt
  Sampling sampling;
  std::vector<std::string> stops;
  bool score = false;         // TokenScore of each token made
  bool score_prompt = false;  // and of each of the prompt; where that fills
                              // slots, routed_count leaves out its end
  int64_t top_count = 0;      // with this many of the likeliest
  bool wants_routing = false;
  absl::Time deadline = absl::InfiniteFuture();  // monotonic
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_GENERATION_REQUEST_H_
