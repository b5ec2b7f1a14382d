#include "worker/daemon/progress_metrics.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace lory::daemon {
namespace {

using ::google::protobuf::RepeatedPtrField;
using ::lory::v1::DomainLoss;
using ::lory::v1::JobProgress;
using ::lory::v1::LayerRouting;
using metrics::Labels;
using metrics::Registry;

void SetRouting(const std::string& job,
                const RepeatedPtrField<LayerRouting>& layers,
                Registry& registry) {
  int series = 0;
  for (const LayerRouting& layer : layers) series += layer.weight_mean_size();
  for (const LayerRouting& layer : layers) {
    const Labels labels = {{"job", job},
                           {"layer", absl::StrCat(layer.layer())}};
    registry.Set("lory_trainer_routing_entropy_nats", labels, layer.entropy());
    registry.Set("lory_trainer_active_experts_ratio", labels,
                 layer.active_share());
    registry.Set("lory_trainer_unrouted_ratio", labels, layer.unrouted_share());
    registry.Set("lory_trainer_expert_load_ratio", labels, layer.load_ratio());
    if (series > kMaxExpertSeries) continue;
    Labels expert_labels = labels;
    for (int expert = 0; expert < layer.weight_mean_size(); ++expert) {
      expert_labels["expert"] = absl::StrCat(expert);
      registry.Set("lory_trainer_expert_weight_ratio", expert_labels,
                   layer.weight_mean(expert));
      if (expert < layer.active_fraction_size()) {
        registry.Set("lory_trainer_expert_active_ratio", expert_labels,
                     layer.active_fraction(expert));
      }
    }
  }
}

void SetDomainExperts(Labels labels, const std::vector<double>& weights,
                      Registry& registry) {
  for (size_t expert = 0; expert < weights.size(); ++expert) {
    labels["expert"] = absl::StrCat(expert);
    registry.Set("lory_trainer_domain_expert_weight_ratio", labels,
                 weights[expert]);
  }
}

// The mean over layers, which all have the same number of experts.
std::vector<double> MeanWeights(const RepeatedPtrField<LayerRouting>& layers) {
  std::vector<double> mean;
  for (const LayerRouting& layer : layers) {
    mean.resize(static_cast<size_t>(layer.weight_mean_size()));
    for (size_t expert = 0; expert < mean.size(); ++expert) {
      mean[expert] +=
          layer.weight_mean(static_cast<int>(expert)) / layers.size();
    }
  }
  return mean;
}

void SetDomainRouting(const std::string& job, const DomainLoss& domain,
                      bool by_layer, Registry& registry) {
  for (const LayerRouting& layer : domain.routing()) {
    const Labels labels = {{"job", job},
                           {"domain", domain.domain()},
                           {"layer", absl::StrCat(layer.layer())}};
    registry.Set("lory_trainer_domain_routing_entropy_nats", labels,
                 layer.entropy());
    registry.Set("lory_trainer_domain_unrouted_ratio", labels,
                 layer.unrouted_share());
    registry.Set("lory_trainer_domain_expert_load_ratio", labels,
                 layer.load_ratio());
    if (!by_layer) continue;
    SetDomainExperts(labels,
                     {layer.weight_mean().begin(), layer.weight_mean().end()},
                     registry);
  }
  if (by_layer) return;
  SetDomainExperts(
      {{"job", job}, {"domain", domain.domain()}, {"layer", "mean"}},
      MeanWeights(domain.routing()), registry);
}

int ExpertSeriesOf(const DomainLoss& domain) {
  int series = 0;
  for (const LayerRouting& layer : domain.routing()) {
    series += layer.weight_mean_size();
  }
  return series;
}

void SetDomain(const std::string& job, const DomainLoss& domain, bool by_layer,
               Registry& registry) {
  const Labels labels = {{"job", job}, {"domain", domain.domain()}};
  registry.Set("lory_trainer_evaluation_loss_nats", labels, domain.loss());
  registry.Set("lory_trainer_perplexity", labels, domain.perplexity());
  registry.Set("lory_trainer_unigram_entropy_nats", labels,
               domain.unigram_entropy());
  if (domain.later_token_count() > 0) {
    registry.Set("lory_trainer_later_perplexity", labels,
                 domain.later_perplexity());
  }
  SetDomainRouting(job, domain, by_layer, registry);
}

// What an evaluation shows as a domain: the domains and the totals, which have
// no routing.
std::vector<DomainLoss> ShownDomains(const lory::v1::Evaluation& evaluation) {
  std::vector<DomainLoss> shown(evaluation.domains().begin(),
                                evaluation.domains().end());
  if (evaluation.has_overall()) {
    shown.push_back(evaluation.overall());
    shown.back().set_domain("overall");
  }
  if (evaluation.has_kept_out()) shown.push_back(evaluation.kept_out());
  return shown;
}

void SetEvaluation(const std::string& job,
                   const lory::v1::Evaluation& evaluation, Registry& registry) {
  registry.Set("lory_trainer_evaluation_step", {{"job", job}},
               static_cast<double>(evaluation.step()));
  if (evaluation.has_train()) {
    registry.Set("lory_trainer_evaluation_train_loss_nats", {{"job", job}},
                 evaluation.train().loss());
  }
  int series = 0;
  for (const DomainLoss& domain : evaluation.domains()) {
    series += ExpertSeriesOf(domain);
  }
  for (const DomainLoss& domain : ShownDomains(evaluation)) {
    SetDomain(job, domain, series <= kMaxDomainExpertSeries, registry);
  }
}

}  // namespace

void DeclareProgress(Registry& registry) {
  const std::pair<const char*, const char*> gauges[] = {
      {"lory_trainer_step", "Steps the job has applied."},
      {"lory_trainer_planned_steps", "Steps the job has in all."},
      {"lory_trainer_loss_nats", "Mean loss of the newest step, a token."},
      {"lory_trainer_auxiliary_loss_nats",
       "What routers added to the loss minimised in the newest step, a token."},
      {"lory_trainer_tokens_per_second",
       "Tokens trained a second, all ranks together."},
      {"lory_trainer_learning_rate", "Learning rate of the newest step."},
      {"lory_trainer_gradient_norm",
       "Norm of the whole gradient before clipping."},
      {"lory_trainer_epoch", "Passes over the data, with a fraction."},
      {"lory_trainer_remaining_seconds", "Expected time until the last step."},
      {"lory_trainer_nonfinite_steps",
       "Steps skipped for a loss or gradient that was not finite."},
      {"lory_trainer_dense_phase",
       "1 while the model is still dense, before it gets its experts."},
      {"lory_trainer_step_seconds",
       "Time of the newest step on the slowest rank, by phase; total is the "
       "whole step."},
      {"lory_trainer_job_memory_bytes",
       "What the job's trainers hold in RAM together."},
      {"lory_trainer_expert_weight_ratio",
       "Mean routing weight of an expert; those of a layer sum to 1."},
      {"lory_trainer_expert_active_ratio",
       "Share of segments that gave an expert more than 2/E."},
      {"lory_trainer_routing_entropy_nats",
       "Mean entropy of a layer's routing weights; at most ln(experts)."},
      {"lory_trainer_active_experts_ratio",
       "Share of a layer's experts that were given more than 2/E by at least "
       "one segment of the last ten steps or 40,000 segments."},
      {"lory_trainer_unrouted_ratio",
       "Share of segments or tokens that no expert of a layer took."},
      {"lory_trainer_expert_load_ratio",
       "What the busiest expert of a layer took, over the mean of all: 1 when "
       "even."},
      {"lory_trainer_evaluation_step", "Step of the newest evaluation."},
      {"lory_trainer_evaluation_loss_nats",
       "Held-out loss by domain, a token; overall is over all domains."},
      {"lory_trainer_perplexity", "exp of the held-out loss, by domain."},
      {"lory_trainer_later_perplexity",
       "The same without the first positions of every sequence."},
      {"lory_trainer_evaluation_train_loss_nats",
       "Loss on some of the text that is trained on, measured like held-out "
       "text; the difference is what the model has over-fitted by."},
      {"lory_trainer_unigram_entropy_nats",
       "What a model that knows only token frequencies would reach."},
      {"lory_trainer_domain_routing_entropy_nats",
       "Routing entropy on the held-out text of a domain."},
      {"lory_trainer_domain_expert_weight_ratio",
       "Mean routing weight of an expert on the held-out text of a domain; "
       "those of a layer sum to 1. More than 2048 a job: their means over "
       "layers instead, as layer mean."},
      {"lory_trainer_domain_expert_load_ratio",
       "What a layer's busiest expert took of a domain's held-out text, over "
       "the mean of all: 1 when even."},
      {"lory_trainer_domain_unrouted_ratio",
       "Share of a domain's held-out segments or tokens that no expert of a "
       "layer took."},
  };
  for (const auto& [name, help] : gauges) registry.DeclareGauge(name, help);
}

void SetProgress(const std::string& job, const JobProgress& progress,
                 Registry& registry) {
  const Labels labels = {{"job", job}};
  const auto set = [&](const char* name, double value) {
    registry.Set(name, labels, value);
  };
  set("lory_trainer_step", static_cast<double>(progress.step()));
  set("lory_trainer_planned_steps", static_cast<double>(progress.step_count()));
  set("lory_trainer_loss_nats", progress.loss());
  set("lory_trainer_auxiliary_loss_nats", progress.auxiliary_loss());
  set("lory_trainer_tokens_per_second", progress.tokens_per_second());
  set("lory_trainer_learning_rate", progress.learning_rate());
  set("lory_trainer_gradient_norm", progress.gradient_norm());
  set("lory_trainer_epoch", progress.epoch());
  set("lory_trainer_nonfinite_steps",
      static_cast<double>(progress.nonfinite_step_count()));
  set("lory_trainer_dense_phase", progress.dense_phase() ? 1 : 0);
  set("lory_trainer_job_memory_bytes",
      static_cast<double>(progress.resident_bytes()));
  if (progress.has_remaining_time()) {
    set("lory_trainer_remaining_seconds",
        static_cast<double>(progress.remaining_time().seconds()));
  }
  const lory::v1::StepTimes& times = progress.step_times();
  for (const auto& [phase, seconds] :
       {std::pair("total", times.total_seconds()),
        std::pair("data", times.data_seconds()),
        std::pair("forward", times.forward_seconds()),
        std::pair("backward", times.backward_seconds()),
        std::pair("reduce", times.reduce_seconds()),
        std::pair("update", times.update_seconds()),
        std::pair("checkpoint", times.checkpoint_seconds())}) {
    registry.Set("lory_trainer_step_seconds", {{"job", job}, {"phase", phase}},
                 seconds);
  }
  SetRouting(job, progress.routing(), registry);
  if (progress.has_evaluation()) {
    SetEvaluation(job, progress.evaluation(), registry);
  }
}

}  // namespace lory::daemon
