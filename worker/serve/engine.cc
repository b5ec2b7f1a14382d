#include "worker/serve/engine.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "worker/serve/request_check.h"
#include "worker/train/torch_guard.h"

namespace lory::serve {
namespace {

// Rows of a prompt whose logits are held at a time.
constexpr int64_t kScoredRows = 64;

std::span<const float> Row(const at::Tensor& logits_RV, int64_t row) {
  const auto width = static_cast<size_t>(logits_RV.size(1));
  return {logits_RV.const_data_ptr<float>() + row * width, width};
}

absl::Status Stopping() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, "SERVER_STOPS",
                         "the server stops; try again");
}

bool AreFinite(std::span<const float> logits) {
  return std::all_of(logits.begin(), logits.end(),
                     [](float logit) { return std::isfinite(logit); });
}

absl::Status NotFinite() {
  return absl::InternalError(
      "the model's logits are no finite numbers: its weights are damaged or "
      "its training diverged; serve an earlier checkpoint");
}

int64_t ActiveLimit(const Engine::Options& options, const ServedModel& model) {
  const int64_t each = Engine::KeptBytesOf(model);
  if (each == 0 || options.merged_bytes == 0) return options.max_active;
  return std::min(options.max_active, options.merged_bytes / each);
}

// By id, whether it is of no token: of a vocabulary that was filled up to a
// round number, or a gap in the tokenizer's.
std::vector<bool> WithoutToken(const ServedModel& model,
                               const lory::text::Tokenizer& tokenizer) {
  std::vector<bool> without(model.shape().vocabulary_size);
  bool any = false;
  for (size_t id = 0; id < without.size(); ++id) {
    without[id] = !tokenizer.HasToken(static_cast<int32_t>(id));
    any |= without[id];
  }
  return any ? without : std::vector<bool>();
}

std::set<int64_t> EndTokens(const Engine::Options& options,
                            const lory::text::Tokenizer& tokenizer) {
  std::set<int64_t> tokens(options.end_tokens.begin(),
                           options.end_tokens.end());
  tokens.insert(tokenizer.end_of_document_id());
  return tokens;
}

int64_t Budget(const Engine::Options& options, const ServedModel& model) {
  if (options.merged_bytes > 0) return options.merged_bytes;
  return options.max_active * Engine::KeptBytesOf(model);
}

}  // namespace

int64_t Engine::KeptBytesOf(const ServedModel& model) {
  return model.KeptBytes() * model.shape().layer_count;
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(
    const Options& options, const ServedModel& model,
    const lory::text::Tokenizer& tokenizer, Clock& clock,
    EngineObserver* observer) {
  const int64_t each = KeptBytesOf(model);
  if (options.merged_bytes != 0 && options.merged_bytes < each) {
    return absl::InvalidArgumentError(absl::StrCat(
        "merged_bytes is ", options.merged_bytes, ", but one request needs ",
        each,
        " bytes of merged weights or outputs of slots; give that, or 0 "
        "for enough"));
  }
  if (options.max_active < 1 || options.max_queued < 1) {
    return absl::InvalidArgumentError(
        "max_active and max_queued must be 1 or more");
  }
  if (options.max_active > kMostOpen ||
      options.max_queued > kMostOpen - options.max_active) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--max-active ", options.max_active, " and --max-queued ",
        options.max_queued, " are more than ", kMostOpen,
        " together, the requests that a server has threads for; give less, or "
        "start several servers"));
  }
  return absl::WrapUnique(
      new Engine(options, model, tokenizer, clock, observer));
}

Engine::Engine(const Options& options, const ServedModel& model,
               const lory::text::Tokenizer& tokenizer, Clock& clock,
               EngineObserver* observer)
    : max_active_(ActiveLimit(options, model)),
      max_queued_(options.max_queued),
      model_(model),
      tokenizer_(tokenizer),
      end_tokens_(EndTokens(options, tokenizer)),
      without_token_(WithoutToken(model, tokenizer)),
      clock_(clock),
      observer_(observer),
      cache_(model, Budget(options, model)),
      decoder_(model, cache_) {}

Engine::Active::Active(std::shared_ptr<Generation> asked)
    : generation(std::move(asked)),
      sampler(generation->request.sampling),
      text(generation->request.stops) {}

// ---- the queue ----

absl::StatusOr<std::shared_ptr<Generation>> Engine::Submit(
    GenerationRequest request, std::shared_ptr<PieceQueue> pieces,
    size_t index) {
  if (request.routed_count == 0) {
    request.routed_count = static_cast<int64_t>(request.tokens.size());
  }
  LORY_RETURN_IF_ERROR(CheckRequest(request, model_.shape()));
  auto generation = std::make_shared<Generation>(std::move(request),
                                                 std::move(pieces), index);
  const MutexLock lock(&mutex_);
  if (stopping_) return Stopping();
  DropLeft();
  // Who can begin with the next step does not wait.
  const auto open = static_cast<int64_t>(queue_.size()) + active_count_;
  if (open >= max_active_ + max_queued_) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, "TOO_MANY_REQUESTS",
        absl::StrCat(open,
                     " requests are open already; try again later, "
                     "or start the server with a larger "
                     "--max-queued"));
  }
  queue_.push_back({generation, clock_.MonotonicNow()});
  changed_.NotifyAll();
  return generation;
}

absl::Status Engine::MayGoOn(const Generation& generation) {
  if (generation.cancelled()) {
    return absl::CancelledError("the request was cancelled");
  }
  if (clock_.MonotonicNow() >= generation.request.deadline) {
    return absl::DeadlineExceededError(
        "the request took longer than it was given");
  }
  return absl::OkStatus();
}

void Engine::DropLeft() {
  std::erase_if(queue_, [this](const Waiting& waiting) {
    const absl::Status verdict = MayGoOn(*waiting.generation);
    if (!verdict.ok()) waiting.generation->Push(verdict);
    return !verdict.ok();
  });
}

std::optional<Engine::Waiting> Engine::TakeWaiting() {
  const MutexLock lock(&mutex_);
  DropLeft();
  if (queue_.empty() || static_cast<int64_t>(active_.size()) >= max_active_) {
    return std::nullopt;
  }
  Waiting first = std::move(queue_.front());
  queue_.pop_front();
  ++active_count_;
  return first;
}

void Engine::Retire() {
  std::erase_if(active_, [this](const ActivePointer& active) {
    if (active->finished) return true;
    const absl::Status verdict = MayGoOn(*active->generation);
    if (!verdict.ok()) active->generation->Push(verdict);
    return !verdict.ok();
  });
}

// ---- a step ----

bool Engine::Step() {
  const at::NoGradGuard no_grad;
  Retire();
  const std::optional<Waiting> waiting = TakeWaiting();
  if (waiting) Admit(*waiting);
  const bool works = waiting.has_value() || !active_.empty();
  if (!active_.empty()) MakeTokens();
  Retire();
  Report();
  return works;
}

void Engine::Admit(const Waiting& waiting) {
  auto active = std::make_unique<Active>(waiting.generation);
  GenerationPiece piece;
  const absl::Status read = lory::train::GuardTorch(
      "reading the prompt", [&] { return ReadPrompt(*active, piece); });
  if (!read.ok()) {
    active->generation->Push(read);
    return;
  }
  if (observer_ != nullptr) {
    observer_->PromptRead(
        static_cast<int64_t>(active->generation->request.tokens.size()),
        clock_.MonotonicNow() - waiting.asked);
    observer_->TokensMade(active->made);
  }
  active->generation->Push(std::move(piece));
  if (!active->finished) active_.push_back(std::move(active));
}

absl::Status Engine::ReadPrompt(Active& active, GenerationPiece& piece) {
  const GenerationRequest& request = active.generation->request;
  const auto count = static_cast<int64_t>(request.tokens.size());
  LORY_RETURN_IF_ERROR(model_.CheckFiles());
  const PromptPass pass = decoder_.ReadPrompt(
      request.tokens, request.routed_count, request.inference,
      count + request.max_tokens, active.state);
  LORY_RETURN_IF_ERROR(model_.CheckFiles());
  if (request.score_prompt) {
    LORY_ASSIGN_OR_RETURN(piece.prompt_scores,
                          ScorePrompt(request, pass.hidden_LD));
  }
  if (request.wants_routing) {
    piece.routing = decoder_.RoutingOf(pass, request.inference);
  }
  if (request.max_tokens == 0) {
    active.finished = true;
    piece.finish = FinishReason::kLength;
    return absl::OkStatus();
  }
  const at::Tensor logits_1V =
      decoder_.Logits(pass.hidden_LD.narrow(0, count - 1, 1)).contiguous();
  return Draw(active, Row(logits_1V, 0), piece);
}

absl::StatusOr<std::vector<TokenScore>> Engine::ScorePrompt(
    const GenerationRequest& request, const at::Tensor& hidden_LD) const {
  const int64_t scored = hidden_LD.size(0) - 1;
  std::vector<TokenScore> scores;
  for (int64_t first = 0; first < scored; first += kScoredRows) {
    const int64_t rows = std::min(kScoredRows, scored - first);
    const at::Tensor logits_RV =
        decoder_.Logits(hidden_LD.narrow(0, first, rows)).contiguous();
    for (int64_t row = 0; row < rows; ++row) {
      if (!AreFinite(Row(logits_RV, row))) return NotFinite();
      scores.push_back(ScoreToken(Row(logits_RV, row),
                                  request.tokens[first + row + 1],
                                  request.top_count));
    }
  }
  return scores;
}

absl::StatusOr<at::Tensor> Engine::StepLogits(
    std::span<SequenceState* const> states, std::span<const int64_t> tokens) {
  // What slots gave is kept; a whole prompt's merge, too.
  const bool merges_anew =
      std::any_of(states.begin(), states.end(), [](const SequenceState* state) {
        return state->inference == Inference::kSegment;
      });
  const bool may_read_files =
      !model_.has_slots() && (!model_.merges() || merges_anew);
  if (may_read_files) LORY_RETURN_IF_ERROR(model_.CheckFiles());
  at::Tensor logits_BV = decoder_.Step(states, tokens).contiguous();
  if (may_read_files) LORY_RETURN_IF_ERROR(model_.CheckFiles());
  return logits_BV;
}

void Engine::MakeTokens() {
  std::vector<SequenceState*> states;
  std::vector<int64_t> tokens;
  for (const ActivePointer& active : active_) {
    states.push_back(&active->state);
    tokens.push_back(active->last_token);
  }
  const absl::StatusOr<at::Tensor> logits_BV = lory::train::GuardTorch(
      "making a token", [&] { return StepLogits(states, tokens); });
  for (size_t i = 0; i < active_.size(); ++i) {
    Active& active = *active_[i];
    GenerationPiece piece;
    const absl::Status drawn =
        logits_BV.ok()
            ? Draw(active, Row(*logits_BV, static_cast<int64_t>(i)), piece)
            : logits_BV.status();
    if (!drawn.ok()) active.finished = true;
    active.generation->Push(
        drawn.ok() ? absl::StatusOr<GenerationPiece>(std::move(piece)) : drawn);
  }
  if (observer_ != nullptr && logits_BV.ok()) {
    observer_->TokensMade(static_cast<int64_t>(active_.size()));
  }
}

absl::Status Engine::Draw(Active& active, std::span<const float> logits,
                          GenerationPiece& piece) {
  const GenerationRequest& request = active.generation->request;
  const int64_t token = active.sampler.Choose(logits, without_token_);
  if (token < 0) {
    return NotFinite();
  }
  active.last_token = token;
  ++active.made;
  piece.tokens.push_back(token);
  if (request.score) {
    piece.scores.push_back(ScoreToken(logits, token, request.top_count));
  }
  if (token == tokenizer_.end_of_document_id()) {
    piece.finish = FinishReason::kStop;
  } else {
    // Special tokens have no text; another that ends is shown, as transformers
    // and vLLM show it.
    piece.text =
        active.text.Add(tokenizer_.TokenText(static_cast<int32_t>(token)));
    if (active.text.stopped() || end_tokens_.contains(token)) {
      piece.finish = FinishReason::kStop;
    } else if (active.made == request.max_tokens) {
      piece.finish = FinishReason::kLength;
    }
  }
  if (piece.finish) {
    piece.text += active.text.Finish();
    active.finished = true;
  }
  return absl::OkStatus();
}

void Engine::Report() {
  EngineObserver::State state{.active = static_cast<int64_t>(active_.size()),
                              .merged = cache_.stats()};
  {
    const MutexLock lock(&mutex_);
    active_count_ = state.active;
    state.queued = static_cast<int64_t>(queue_.size());
  }
  if (observer_ != nullptr) observer_->Stepped(state);
}

void Engine::Run(std::stop_token stop) {
  const std::stop_callback wake(stop, [this] {
    const MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  });
  while (!stop.stop_requested()) {
    if (Step()) continue;
    const MutexLock lock(&mutex_);
    while (queue_.empty() && !stopping_) changed_.Wait(&mutex_);
  }
  for (const ActivePointer& active : active_) {
    active->generation->Push(Stopping());
  }
  active_.clear();
  const MutexLock lock(&mutex_);
  stopping_ = true;  // the callback may come later than stop_requested
  for (const Waiting& waiting : queue_) waiting.generation->Push(Stopping());
  queue_.clear();
}

}  // namespace lory::serve
