#include "worker/train/evaluator.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "common/config/model_shape.h"
#include "worker/train/torch_guard.h"

namespace lory::train {
namespace {

using ::lory::model::RoutingStats;
using ::lory::model::Transformer;

// Doubles of all ranks, added in order of rank: the same bits everywhere.
absl::StatusOr<std::vector<double>> SumOverRanks(
    const std::vector<double>& mine,
    lory::collective::Communicator& communicator) {
  const size_t bytes = mine.size() * sizeof(double);
  LORY_ASSIGN_OR_RETURN(
      const std::vector<std::string> all,
      communicator.AllGather(
          {reinterpret_cast<const char*>(mine.data()), bytes}));
  std::vector<double> sums(mine.size());
  std::vector<double> one(mine.size());
  for (const std::string& theirs : all) {
    if (theirs.size() != bytes) {
      return absl::InternalError("ranks evaluate different models");
    }
    std::memcpy(one.data(), theirs.data(), bytes);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += one[i];
  }
  return sums;
}

// Nats a token of a model that knows these frequencies and nothing else.
double Entropy(const std::vector<int64_t>& counts) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  double entropy = 0;
  for (const int64_t count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / total;
    entropy -= share * std::log(share);
  }
  return entropy;
}

// Text that is reported as one: sums over it, and how often each token is
// predicted.
struct Total {
  double loss = 0, tokens = 0, later_loss = 0, later_tokens = 0;
  std::vector<int64_t> token_counts;

  void Add(const std::vector<double>& sums,
           const std::vector<int64_t>& counts) {
    loss += sums[0];
    tokens += sums[1];
    later_loss += sums[2];
    later_tokens += sums[3];
    token_counts.resize(counts.size());
    for (size_t i = 0; i < counts.size(); ++i) token_counts[i] += counts[i];
  }

  void Describe(const std::string& name, lory::v1::DomainLoss& out) const {
    out.set_domain(name);
    out.set_loss(tokens > 0 ? loss / tokens : 0);
    out.set_perplexity(std::exp(out.loss()));
    out.set_token_count(static_cast<int64_t>(tokens));
    out.set_unigram_entropy(Entropy(token_counts));
    if (later_tokens == 0) return;
    out.set_later_loss(later_loss / later_tokens);
    out.set_later_perplexity(std::exp(out.later_loss()));
    out.set_later_token_count(static_cast<int64_t>(later_tokens));
  }
};

}  // namespace

std::vector<lory::v1::LayerRouting> DescribeRouting(
    const RoutingStats& routing) {
  std::vector<lory::v1::LayerRouting> layers;
  for (int64_t i = 0; i < routing.layer_count(); ++i) {
    lory::v1::LayerRouting layer;
    layer.set_layer(static_cast<int32_t>(i));
    for (const double weight : routing.MeanWeights(i)) {
      layer.add_weight_mean(weight);
    }
    layer.set_entropy(routing.MeanEntropy(i));
    layer.set_active_share(routing.ActiveShare(i));
    for (const double fraction : routing.ActiveFractions(i)) {
      layer.add_active_fraction(fraction);
    }
    layer.set_unrouted_share(routing.UnroutedShare(i));
    layer.set_load_ratio(routing.LoadRatio(i));
    layers.push_back(std::move(layer));
  }
  return layers;
}

Evaluator::Options Evaluator::OptionsOf(const lory::v1::JobSpec& spec) {
  constexpr int64_t kTrainSequences = 64;
  const lory::v1::EvaluationSpec& asked = spec.evaluation();
  Options options{.sequences_per_domain = asked.sequences_per_domain(),
                  .train_sequences = asked.train_sequences() == 0
                                         ? kTrainSequences
                                         : asked.train_sequences(),
                  .first_positions = asked.first_positions(),
                  .rows = spec.micro_batch_sequences()};
  if (options.first_positions == 0) {
    const auto shape = lory::config::ResolveModelShape(spec.model());
    if (shape.ok()) {
      options.first_positions =
          std::max(lory::config::LeakLength(*shape), shape->segment_length);
    }
  }
  return options;
}

Evaluator::Evaluator(const lory::data::Dataset& dataset, const Options& options)
    : dataset_(dataset), options_(options) {
  const auto& held_out = dataset.manifest().held_out;
  for (size_t i = 0; i < held_out.size(); ++i) {
    TextSet text{.domain = held_out[i].domain,
                 .held_out = static_cast<int>(i),
                 .kept_out = held_out[i].kept_out};
    text.sequence_count = dataset.held_out_count(text.held_out);
    if (options.sequences_per_domain > 0) {
      text.sequence_count =
          std::min(text.sequence_count, options.sequences_per_domain);
    }
    if (text.sequence_count > 0) sets_.push_back(std::move(text));
  }
  has_text_ = !sets_.empty();
  const int64_t train =
      std::min(options.train_sequences, dataset.sequence_count());
  if (train > 0) sets_.push_back({.domain = "train", .sequence_count = train});
}

absl::StatusOr<lory::v1::Evaluation> Evaluator::Evaluate(
    const Transformer& model, lory::collective::Communicator& communicator,
    Clock& clock, const std::function<bool()>& go_on) {
  const absl::Time start = clock.MonotonicNow();
  lory::v1::Evaluation evaluation;
  Total overall, kept_out;
  for (TextSet& text : sets_) {
    if (text.token_counts.empty()) {
      LORY_ASSIGN_OR_RETURN(text.token_counts, CountTokens(text));
    }
    LORY_ASSIGN_OR_RETURN(const Sums mine,
                          Measure(text, model, communicator, go_on));
    std::vector<double> numbers = {mine.loss, mine.tokens, mine.later_loss,
                                   mine.later_tokens};
    const size_t before_routing = numbers.size();
    for (const float number : mine.routing.Flatten()) {
      numbers.push_back(number);
    }
    LORY_ASSIGN_OR_RETURN(numbers, SumOverRanks(numbers, communicator));

    const bool is_train = text.held_out < 0;
    lory::v1::DomainLoss& said =
        is_train ? *evaluation.mutable_train() : *evaluation.add_domains();
    Total one;
    one.Add(numbers, text.token_counts);
    one.Describe(text.domain, said);
    said.set_kept_out(text.kept_out);
    if (!mine.routing.empty()) {
      const std::vector<float> flat(numbers.begin() + before_routing,
                                    numbers.end());
      for (auto& layer : DescribeRouting(
               RoutingStats::FromFlat(mine.routing.layer_count(),
                                      mine.routing.expert_count(), flat))) {
        *said.add_routing() = std::move(layer);
      }
    }
    if (is_train) continue;
    (text.kept_out ? kept_out : overall).Add(numbers, text.token_counts);
  }
  if (overall.tokens > 0) {
    overall.Describe("overall", *evaluation.mutable_overall());
  }
  if (kept_out.tokens > 0) {
    kept_out.Describe("kept_out", *evaluation.mutable_kept_out());
    evaluation.mutable_kept_out()->set_kept_out(true);
  }
  evaluation.set_seconds(absl::ToDoubleSeconds(clock.MonotonicNow() - start));
  return evaluation;
}

absl::Status Evaluator::Read(const TextSet& text, int64_t index,
                             std::span<int64_t> tokens) const {
  if (text.held_out >= 0) {
    return dataset_.ReadHeldOut(text.held_out, index, tokens);
  }
  // Spread evenly over the training text: both counts are below 2^31.
  return dataset_.Read(index * dataset_.sequence_count() / text.sequence_count,
                       tokens);
}

absl::StatusOr<Evaluator::Sums> Evaluator::Measure(
    const TextSet& text, const Transformer& model,
    lory::collective::Communicator& communicator,
    const std::function<bool()>& go_on) const {
  const int64_t stored = dataset_.manifest().sequence_length + 1;
  const lory::config::ModelShape& shape = model.shape();
  Sums sums;
  // A rank without a batch must still send as many numbers as the others.
  if (shape.expert_count > 0) {
    sums.routing = RoutingStats(shape.layer_count, shape.expert_count);
  }
  int64_t batch = 0;
  for (int64_t first = 0; first < text.sequence_count; first += options_.rows) {
    if (batch++ % communicator.world_size() != communicator.rank()) continue;
    const int64_t rows = std::min(options_.rows, text.sequence_count - first);
    std::vector<int64_t> sequences(static_cast<size_t>(rows * stored));
    for (int64_t row = 0; row < rows; ++row) {
      LORY_RETURN_IF_ERROR(
          Read(text, first + row,
               std::span<int64_t>(sequences).subspan(row * stored, stored)));
    }
    LORY_RETURN_IF_ERROR(AddBatch(model, sequences, sums));
    if (!go_on()) return absl::AbortedError("the evaluation was given up");
  }
  return sums;
}

absl::Status Evaluator::AddBatch(const Transformer& model,
                                 const std::vector<int64_t>& sequences,
                                 Sums& sums) const {
  const int64_t length = dataset_.manifest().sequence_length;
  const auto rows = static_cast<int64_t>(sequences.size()) / (length + 1);
  return GuardTorch("evaluation", [&] {
    at::NoGradGuard no_grad;
    // Borrows the sequences, which nothing writes to.
    const at::Tensor stored = at::from_blob(
        const_cast<int64_t*>(sequences.data()), {rows, length + 1}, at::kLong);
    std::vector<at::Tensor> routing;
    const at::Tensor losses_BL = model.TokenLosses(
        stored.narrow(1, 0, length).contiguous(),
        stored.narrow(1, 1, length).contiguous(), {}, &routing);
    const auto sum = [](const at::Tensor& losses) {
      return losses.sum(at::kDouble).item<double>();
    };
    sums.loss += sum(losses_BL);
    sums.tokens += static_cast<double>(rows * length);
    const int64_t first = options_.first_positions;
    if (first > 0 && first < length) {
      sums.later_loss += sum(losses_BL.narrow(1, first, length - first));
      sums.later_tokens += static_cast<double>(rows * (length - first));
    }
    for (size_t layer = 0; layer < routing.size(); ++layer) {
      if (!routing[layer].defined()) continue;
      sums.routing.Record(static_cast<int64_t>(layer), routing[layer]);
    }
  });
}

absl::StatusOr<std::vector<int64_t>> Evaluator::CountTokens(
    const TextSet& text) const {
  const int64_t length = dataset_.manifest().sequence_length;
  std::vector<int64_t> counts(dataset_.manifest().vocabulary_size);
  std::vector<int64_t> sequence(length + 1);
  for (int64_t i = 0; i < text.sequence_count; ++i) {
    LORY_RETURN_IF_ERROR(Read(text, i, sequence));
    for (int64_t at = 1; at <= length; ++at) ++counts[sequence[at]];
  }
  return counts;
}

}  // namespace lory::train
