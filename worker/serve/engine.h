#ifndef LORY_WORKER_SERVE_ENGINE_H_
#define LORY_WORKER_SERVE_ENGINE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/text/tokenizer.h"
#include "worker/serve/decoder.h"
#include "worker/serve/generation.h"
#include "worker/serve/merged_cache.h"
#include "worker/serve/served_model.h"
#include "worker/serve/stop_text.h"

namespace lory::serve {

// Hears what the engine does, for metrics. Called from its thread.
class EngineObserver {
 public:
  struct State {
    int64_t active = 0;
    int64_t queued = 0;
    MergedCache::Stats merged;
  };

  virtual ~EngineObserver() = default;
  virtual void PromptRead(int64_t tokens, absl::Duration since_asked) = 0;
  virtual void TokensMade(int64_t count) = 0;
  virtual void Stepped(const State& state) = 0;
};

// Serves many requests with one thread: each step admits a request, reads its
// prompt, and makes one token for every request that is active, together. Who
// leaves makes room before the next step.
//
// Thread-safe: Submit from any thread; Step and Run from one.
class Engine {
 public:
  // Requests that work and wait together: each holds a thread of gRPC or HTTP
  // until it is answered, and those have 256, a few of them for refusals,
  // health and metrics.
  static constexpr int64_t kMostOpen = 252;

  struct Options {
    int64_t max_active = 8;    // requests that make tokens together
    int64_t max_queued = 32;   // requests that wait beside those
    int64_t merged_bytes = 0;  // as KeptBytesOf; 0: enough for all active
    std::vector<int64_t> end_tokens;  // end an answer, as the tokenizer's does
  };

  // Memory that experts cost one request: of merged weights, or of the outputs
  // of slots; 0 where there are neither.
  static int64_t KeptBytesOf(const ServedModel& model);

  // All references must outlive the engine; `observer` may be null. Fewer
  // requests are active where merged_bytes is too little for all.
  //
  // INVALID_ARGUMENT: merged_bytes is less than one request needs; max_active
  // and max_queued are less than 1, or more than kMostOpen together.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(
      const Options& options, const ServedModel& model,
      const lory::text::Tokenizer& tokenizer, Clock& clock,
      EngineObserver* observer);

  // Puts a request into the queue. Its pieces go to `pieces`, as those of
  // generation `index`; null: to a queue of its own.
  //
  // INVALID_ARGUMENT: as CheckRequest. RESOURCE_EXHAUSTED, reason
  // TOO_MANY_REQUESTS: the queue is full. UNAVAILABLE: the server stops.
  absl::StatusOr<std::shared_ptr<Generation>> Submit(
      GenerationRequest request, std::shared_ptr<PieceQueue> pieces = nullptr,
      size_t index = 0);

  // One step. False: there was nothing to do.
  bool Step();

  // Steps until asked to stop; then everything open ends with UNAVAILABLE.
  void Run(std::stop_token stop);

  int64_t max_active() const { return max_active_; }
  int64_t max_queued() const { return max_queued_; }

 private:
  struct Waiting {
    std::shared_ptr<Generation> generation;
    absl::Time asked;
  };

  struct Active {
    Active(std::shared_ptr<Generation> generation);

    const std::shared_ptr<Generation> generation;
    SequenceState state;
    Sampler sampler;
    StopText text;
    int64_t made = 0;
    int64_t last_token = 0;
    bool finished = false;
  };
  using ActivePointer = std::unique_ptr<Active>;

  Engine(const Options& options, const ServedModel& model,
         const lory::text::Tokenizer& tokenizer, Clock& clock,
         EngineObserver* observer);

  // OK, or why the request must end now.
  absl::Status MayGoOn(const Generation& generation);
  void Retire();
  // Ends those that left the queue: they make room wherever they stand.
  void DropLeft() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Waiting> TakeWaiting();
  void Admit(const Waiting& waiting);
  absl::Status ReadPrompt(Active& active, GenerationPiece& piece);
  // INTERNAL: a logit is no finite number.
  absl::StatusOr<std::vector<TokenScore>> ScorePrompt(
      const GenerationRequest& request, const at::Tensor& hidden_LD) const;
  void MakeTokens();
  // Next tokens of every active request. DATA_LOSS: as CheckFiles.
  absl::StatusOr<at::Tensor> StepLogits(std::span<SequenceState* const> states,
                                        std::span<const int64_t> tokens);
  // Draws the next token of `active` into `piece`.
  absl::Status Draw(Active& active, std::span<const float> logits,
                    GenerationPiece& piece);
  // Tells observers, and Submit, how many are active.
  void Report();

  const int64_t max_active_;
  const int64_t max_queued_;
  const ServedModel& model_;
  const lory::text::Tokenizer& tokenizer_;
  const std::set<int64_t> end_tokens_;
  // By id, what has no text: never drawn. Empty: every id has.
  const std::vector<bool> without_token_;
  Clock& clock_;
  EngineObserver* const observer_;
  // Of the engine's thread alone.
  MergedCache cache_;
  Decoder decoder_;
  std::vector<ActivePointer> active_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Waiting> queue_ ABSL_GUARDED_BY(mutex_);
  int64_t active_count_ ABSL_GUARDED_BY(mutex_) = 0;  // of active_
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_ENGINE_H_
