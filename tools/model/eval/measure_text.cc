#include "tools/model/eval/measure_text.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "common/base/status_macros.h"
#include "worker/train/torch_guard.h"

namespace lory::eval {
namespace {

using ::lory::model::Transformer;

// Tokens that go through the model at a time, about.
constexpr int64_t kBatchTokens = 4096;

// Windows of one length, one after the other.
struct Batch {
  int64_t rows = 0;
  int64_t length = 0;
  std::vector<int64_t> tokens;
  std::vector<int64_t> targets;

  void Append(const Window& window) {
    ++rows;
    length = static_cast<int64_t>(window.tokens.size());
    tokens.insert(tokens.end(), window.tokens.begin(), window.tokens.end());
    targets.insert(targets.end(), window.targets.begin(), window.targets.end());
  }
};

// One window's targets and losses from position `first` on.
void AddRow(const float* losses, const int64_t* tokens, const int64_t* targets,
            int64_t first, int64_t length, const TokenBytes& token_bytes,
            LossSums& sums) {
  double loss = 0;
  int64_t count = 0;
  int64_t bytes = 0;
  for (int64_t i = first; i < length; ++i) {
    if (targets[i] < 0) continue;
    loss += losses[i];
    ++count;
    if (!token_bytes.inside.empty()) {
      bytes += token_bytes.Of(targets[i], tokens[i]);
    }
  }
  sums.AddWindow(loss, count, bytes);
}

void MeasureBatch(const Transformer& model, Batch& batch,
                  const TextOptions& options, TokenTable* table,
                  TextFigures& figures) {
  const at::Tensor tokens_BL =
      at::from_blob(batch.tokens.data(), {batch.rows, batch.length}, at::kLong);
  const at::Tensor targets_BL = at::from_blob(
      batch.targets.data(), {batch.rows, batch.length}, at::kLong);
  std::vector<at::Tensor> routing;
  const at::Tensor losses_BL =
      model.TokenLosses(tokens_BL, targets_BL, {}, &routing).contiguous();
  if (figures.routing) figures.routing->Record(routing, batch.rows);
  if (table != nullptr) table->Record(routing, tokens_BL);
  for (int64_t row = 0; row < batch.rows; ++row) {
    const float* losses =
        losses_BL.const_data_ptr<float>() + row * batch.length;
    const int64_t* tokens = batch.tokens.data() + row * batch.length;
    const int64_t* targets = batch.targets.data() + row * batch.length;
    AddRow(losses, tokens, targets, 0, batch.length, options.token_bytes,
           figures.all);
    AddRow(losses, tokens, targets, options.first_segment, batch.length,
           options.token_bytes, figures.rest);
  }
}

}  // namespace

TokenBytes BytesOfTokens(const lory::text::Tokenizer& tokenizer) {
  const int32_t end = tokenizer.end_of_document_id();
  TokenBytes bytes{.end_of_document = end};
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    const bool is_text = id != end;
    bytes.inside.push_back(
        is_text ? static_cast<int64_t>(tokenizer.TokenText(id).size()) : 0);
    bytes.at_begin.push_back(
        is_text ? static_cast<int64_t>(tokenizer.Decode({id}).size()) : 0);
  }
  return bytes;
}

absl::StatusOr<TextFigures> MeasureText(const Transformer& model,
                                        const TextSet& text,
                                        const TextOptions& options,
                                        TokenTable* tokens,
                                        Progress& progress) {
  TextFigures figures;
  if (model.shape().expert_count > 0) {
    figures.routing.emplace(model.shape(), options.utilisation_window);
  }
  const int64_t most_rows = std::max<int64_t>(1, kBatchTokens / text.window);
  Batch batch;
  Window window;
  const auto measure = [&]() -> absl::Status {
    if (batch.rows == 0) return absl::OkStatus();
    LORY_RETURN_IF_ERROR(lory::train::GuardTorch("evaluation", [&] {
      MeasureBatch(model, batch, options, tokens, figures);
    }));
    progress.Advance(batch.rows * batch.length);
    batch = {};
    return absl::OkStatus();
  };
  for (int64_t i = 0; i < text.window_count; ++i) {
    LORY_RETURN_IF_ERROR(text.read(i, window));
    const bool fits =
        batch.rows < most_rows &&
        (batch.rows == 0 ||
         batch.length == static_cast<int64_t>(window.tokens.size()));
    if (!fits) LORY_RETURN_IF_ERROR(measure());
    batch.Append(window);
  }
  LORY_RETURN_IF_ERROR(measure());
  return figures;
}

}  // namespace lory::eval
