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

void SetLoss(const std::string& name, double loss_sum, double tokens,
             double unigram_entropy, lory::v1::DomainLoss* domain) {
  const double loss = tokens > 0 ? loss_sum / tokens : 0;
  domain->set_domain(name);
  domain->set_loss(loss);
  domain->set_perplexity(std::exp(loss));
  domain->set_token_count(static_cast<int64_t>(tokens));
  domain->set_unigram_entropy(unigram_entropy);
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

Evaluator::Evaluator(const lory::data::Dataset& dataset,
                     const lory::v1::EvaluationSpec& spec, int64_t rows)
    : dataset_(dataset), rows_(rows) {
  const auto& held_out = dataset.manifest().held_out;
  for (size_t i = 0; i < held_out.size(); ++i) {
    Domain domain;
    domain.index = static_cast<int>(i);
    domain.sequence_count = dataset.held_out_count(domain.index);
    if (spec.sequences_per_domain() > 0) {
      domain.sequence_count =
          std::min(domain.sequence_count, spec.sequences_per_domain());
    }
    if (domain.sequence_count > 0) domains_.push_back(domain);
  }
}

absl::StatusOr<lory::v1::Evaluation> Evaluator::Evaluate(
    const Transformer& model, lory::collective::Communicator& communicator,
    Clock& clock, const std::function<bool()>& go_on) {
  const absl::Time start = clock.MonotonicNow();
  lory::v1::Evaluation evaluation;
  double loss_sum = 0, token_sum = 0;
  std::vector<int64_t> counts(dataset_.manifest().vocabulary_size);
  for (Domain& domain : domains_) {
    if (domain.token_counts.empty()) {
      LORY_ASSIGN_OR_RETURN(domain.token_counts, CountTokens(domain));
    }
    for (size_t i = 0; i < counts.size(); ++i) {
      counts[i] += domain.token_counts[i];
    }
    LORY_ASSIGN_OR_RETURN(const Sums mine,
                          Measure(domain, model, communicator, go_on));
    std::vector<double> numbers = {mine.loss, mine.tokens};
    for (const float number : mine.routing.Flatten()) {
      numbers.push_back(number);
    }
    LORY_ASSIGN_OR_RETURN(numbers, SumOverRanks(numbers, communicator));

    lory::v1::DomainLoss* said = evaluation.add_domains();
    SetLoss(dataset_.manifest().held_out[domain.index].domain, numbers[0],
            numbers[1], Entropy(domain.token_counts), said);
    if (!mine.routing.empty()) {
      const std::vector<float> flat(numbers.begin() + 2, numbers.end());
      for (auto& layer : DescribeRouting(
               RoutingStats::FromFlat(mine.routing.layer_count(),
                                      mine.routing.expert_count(), flat))) {
        *said->add_routing() = std::move(layer);
      }
    }
    loss_sum += numbers[0];
    token_sum += numbers[1];
  }
  SetLoss("overall", loss_sum, token_sum, Entropy(counts),
          evaluation.mutable_overall());
  evaluation.set_seconds(absl::ToDoubleSeconds(clock.MonotonicNow() - start));
  return evaluation;
}

absl::StatusOr<Evaluator::Sums> Evaluator::Measure(
    const Domain& domain, const Transformer& model,
    lory::collective::Communicator& communicator,
    const std::function<bool()>& go_on) const {
  const int64_t length = dataset_.manifest().sequence_length;
  const lory::config::ModelShape& shape = model.shape();
  Sums sums;
  // A rank without a batch must still send as many numbers as the others.
  if (shape.expert_count > 0) {
    sums.routing = RoutingStats(shape.layer_count, shape.expert_count);
  }
  std::vector<int64_t> sequence(length + 1);
  int64_t batch = 0;
  for (int64_t first = 0; first < domain.sequence_count; first += rows_) {
    if (batch++ % communicator.world_size() != communicator.rank()) continue;
    const int64_t rows = std::min(rows_, domain.sequence_count - first);
    std::vector<int64_t> tokens, targets;
    for (int64_t row = 0; row < rows; ++row) {
      LORY_RETURN_IF_ERROR(
          dataset_.ReadHeldOut(domain.index, first + row, sequence));
      tokens.insert(tokens.end(), sequence.begin(), sequence.end() - 1);
      targets.insert(targets.end(), sequence.begin() + 1, sequence.end());
    }
    LORY_RETURN_IF_ERROR(GuardTorch("evaluation", [&] {
      at::NoGradGuard no_grad;
      const auto result = model.Forward(
          at::from_blob(tokens.data(), {rows, length}, at::kLong),
          at::from_blob(targets.data(), {rows, length}, at::kLong));
      sums.loss += result.loss_sum.item<double>();
      sums.tokens += static_cast<double>(result.token_count);
      sums.routing.Add(result.routing);
    }));
    if (!go_on()) return absl::AbortedError("the evaluation was given up");
  }
  return sums;
}

absl::StatusOr<std::vector<int64_t>> Evaluator::CountTokens(
    const Domain& domain) const {
  const int64_t length = dataset_.manifest().sequence_length;
  std::vector<int64_t> counts(dataset_.manifest().vocabulary_size);
  std::vector<int64_t> sequence(length + 1);
  for (int64_t i = 0; i < domain.sequence_count; ++i) {
    LORY_RETURN_IF_ERROR(dataset_.ReadHeldOut(domain.index, i, sequence));
    for (int64_t at = 1; at <= length; ++at) ++counts[sequence[at]];
  }
  return counts;
}

}  // namespace lory::train
