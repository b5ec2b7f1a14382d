#include "tools/loryctl/job_view.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/model_shape.h"
#include "tools/loryctl/state_color.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobProgress;

// More experts than this are shown by their heights alone.
constexpr int kExpertsInNumbers = 8;
// How wide the layers of a table of domains may be, together.
constexpr int kDomainColumns = 96;

void PrintLine(Environment& environment, absl::string_view label,
               absl::string_view text) {
  std::string padded(label);
  padded.resize(14, ' ');
  environment.out << "  " << Colored(environment, Color::kFaint, padded) << text
                  << "\n";
}

std::string WorkersText(const lory::v1::JobSpec& spec) {
  if (spec.max_workers() <= spec.min_workers()) {
    return absl::StrCat(spec.min_workers());
  }
  return absl::StrCat(spec.min_workers(), " to ", spec.max_workers());
}

// Where a step's time goes, largest first.
std::string StepTimesText(const lory::v1::StepTimes& times) {
  std::vector<std::pair<double, absl::string_view>> parts = {
      {times.data_seconds(), "data"},
      {times.forward_seconds(), "forward"},
      {times.backward_seconds(), "backward"},
      {times.reduce_seconds(), "reduce"},
      {times.update_seconds(), "update"},
      {times.checkpoint_seconds(), "checkpoint"}};
  std::sort(parts.rbegin(), parts.rend());
  std::vector<std::string> texts;
  for (const auto& [seconds, name] : parts) {
    const double share = seconds / times.total_seconds();
    if (share < 0.005) continue;
    texts.push_back(absl::StrCat(name, " ", Percent(share)));
  }
  const std::string total =
      absl::StrCat(Decimals(1000 * times.total_seconds(), 0), " ms");
  if (texts.empty()) return total;
  return absl::StrCat(total, ": ", absl::StrJoin(texts, ", "));
}

void PrintMemory(const JobProgress& progress, Environment& environment) {
  if (progress.resident_bytes() == 0) return;
  PrintLine(environment, "memory",
            absl::StrCat(Bytes(progress.resident_bytes()),
                         " in all trainers together"));
}

// "jobs/tiny at step 400  /storage/jobs/tiny/checkpoints/step-400.gen-1".
std::string BeginningText(const Job& job) {
  const lory::v1::Checkpoint& checkpoint = job.initial_checkpoint();
  const std::string& named = job.spec().init_from();
  std::string text = named;
  if (checkpoint.step() > 0 && !absl::StrContains(named, "/checkpoints/")) {
    absl::StrAppend(&text, " at step ", checkpoint.step());
  }
  if (checkpoint.folder() != named) {
    absl::StrAppend(&text, "  ", checkpoint.folder());
  }
  return text;
}

void PrintProgress(const Job& job, Environment& environment) {
  const JobProgress& progress = job.progress();
  const double share =
      progress.step_count() > 0
          ? static_cast<double>(progress.step()) / progress.step_count()
          : 0;
  PrintLine(
      environment, "progress",
      absl::StrCat(Bar(share, 24, environment.utf8), "  ", ProgressLine(job)));
  PrintLine(environment, "epoch", Decimals(progress.epoch(), 3));
  PrintLine(
      environment, "optimizer",
      absl::StrCat("learning rate ", progress.learning_rate(),
                   ", gradient norm ", Decimals(progress.gradient_norm(), 3),
                   progress.dense_phase() ? ", dense phase" : ""));
  if (progress.nonfinite_step_count() > 0) {
    PrintLine(environment, "skipped",
              Colored(environment, Color::kWarn,
                      absl::StrCat(progress.nonfinite_step_count(),
                                   " steps with a loss or gradient that was "
                                   "not finite")));
  }
  if (progress.step_times().total_seconds() > 0) {
    PrintLine(environment, "step time", StepTimesText(progress.step_times()));
  }
  PrintMemory(progress, environment);
  if (!progress.sample_digest().empty()) {
    PrintLine(environment, "samples",
              absl::StrCat(
                  "chain ",
                  absl::BytesToHexString(progress.sample_digest().substr(0, 8)),
                  "..."));
  }
}

void PrintMembers(const Job& job, Environment& environment) {
  if (job.members().empty()) return;
  environment.out << "\nmembers of generation " << job.generation() << "\n";
  Table table(
      {">RANK", "WORKER", ">SLOT", ">MICRO-BATCHES", ">STEP", ">STEP TIME"});
  for (const auto& member : job.members()) {
    table.Add(
        {absl::StrCat(member.rank()), ShortName(member.worker()),
         absl::StrCat(member.slot()), absl::StrCat(member.micro_batch_count()),
         absl::StrCat(member.applied_step()),
         member.step_seconds() > 0
             ? absl::StrCat(Decimals(1000 * member.step_seconds(), 0), " ms")
             : "-"});
  }
  table.Print(environment, 2);
}

// How much better the model knows what it learns from.
void PrintOverfit(const lory::v1::Evaluation& evaluation,
                  Environment& environment) {
  if (!evaluation.has_train() || evaluation.overall().token_count() == 0) {
    return;
  }
  const double gap = evaluation.overall().loss() - evaluation.train().loss();
  environment.out << "  training text: loss "
                  << Decimals(evaluation.train().loss(), 3)
                  << "; held-out text is " << Decimals(std::abs(gap), 3)
                  << (gap < 0 ? " below\n" : " above\n");
}

// Layers that fit a table of a column each: all, or evenly spread the first and
// the last among them. `width`: of a column.
std::vector<int> LayersThatFit(int count, int width) {
  const int most = std::max(2, kDomainColumns / width);
  std::vector<int> layers;
  if (count <= most) {
    for (int i = 0; i < count; ++i) layers.push_back(i);
    return layers;
  }
  for (int i = 0; i < most; ++i) layers.push_back(i * (count - 1) / (most - 1));
  return layers;
}

// Of an evaluation, which has no routing of training steps.
void PrintDomainRouting(const lory::v1::Evaluation& evaluation,
                        Environment& environment) {
  if (evaluation.domains().empty()) return;
  const auto& first = evaluation.domains(0).routing();
  if (first.empty() || first[0].weight_mean().empty()) return;
  const int experts = first[0].weight_mean_size();
  constexpr int kHead = 8;  // "LAYER 10"
  const std::vector<int> layers =
      LayersThatFit(first.size(), std::max(experts, kHead) + 2);
  environment.out << "\nexperts: mean routing weight by domain and layer; a "
                     "full bar is 2/E\n";
  std::vector<std::string> heads = {"DOMAIN"};
  for (const int i : layers) {
    heads.push_back(absl::StrCat("LAYER ", first[i].layer()));
  }
  Table table(heads);
  for (const auto& domain : evaluation.domains()) {
    if (domain.routing_size() != first.size()) continue;
    std::vector<Cell> cells = {domain.domain()};
    for (const int i : layers) {
      const auto& weights = domain.routing(i).weight_mean();
      cells.emplace_back(Heights({weights.begin(), weights.end()},
                                 2.0 / experts, environment.utf8));
    }
    table.Add(std::move(cells));
  }
  table.Print(environment, 2);
}

}  // namespace

bool IsFinal(Job::State state) {
  return state == Job::SUCCEEDED || state == Job::CANCELLED ||
         state == Job::FAILED;
}

bool TakesSteps(const Job& job) {
  return job.spec().kind() != lory::v1::JobSpec::EVALUATE;
}

const char* LossName(const Job& job) {
  return job.spec().kind() == lory::v1::JobSpec::ADAPT ? "entropy" : "loss";
}

std::string StepText(const Job& job) {
  if (!TakesSteps(job)) return "-";
  const int64_t count = job.progress().step_count() > 0
                            ? job.progress().step_count()
                            : job.spec().step_count();
  return absl::StrCat(job.progress().step(), "/", count);
}

std::string ProgressLine(const Job& job) {
  if (!TakesSteps(job)) return "evaluation";
  const JobProgress& progress = job.progress();
  std::vector<std::string> parts = {absl::StrCat("step ", StepText(job))};
  if (progress.step_count() > 0) {
    parts.push_back(
        Percent(static_cast<double>(progress.step()) / progress.step_count()));
  }
  // Not known of a job that ended before the coordinator began.
  if (progress.loss() > 0) {
    parts.push_back(
        absl::StrCat(LossName(job), " ", Decimals(progress.loss(), 3)));
    if (progress.auxiliary_loss() != 0) {
      parts.push_back(absl::StrCat("auxiliary loss ",
                                   Decimals(progress.auxiliary_loss(), 3)));
    }
  }
  const bool is_mean = job.state() == Job::SUCCEEDED;
  if (progress.tokens_per_second() > 0 && (is_mean || !IsFinal(job.state()))) {
    parts.push_back(
        absl::StrCat(Grouped(std::llround(progress.tokens_per_second())),
                     " tokens/s", is_mean ? " on average" : ""));
  }
  if (progress.has_remaining_time() && !IsFinal(job.state())) {
    parts.push_back(
        absl::StrCat(Brief(DurationOf(progress.remaining_time())), " left"));
  }
  return absl::StrJoin(parts, "  ");
}

std::string ModelText(const lory::v1::ModelSpec& spec) {
  const auto shape = config::ResolveModelShape(spec);
  if (!shape.ok()) return "(not a model that can be built)";
  const bool has_experts = shape->expert_count > 0;
  std::string text = absl::StrCat(
      Short(static_cast<double>(config::ActiveParameterCount(*shape))),
      has_experts ? " active of " : " parameters");
  if (has_experts) {
    absl::StrAppend(&text,
                    Short(static_cast<double>(config::ParameterCount(*shape))),
                    " parameters");
  }
  absl::StrAppend(&text, "; ", shape->layer_count, " layers of width ",
                  shape->width);
  if (has_experts) {
    absl::StrAppend(&text, ", ", shape->feed_forward_summary);
  }
  return absl::StrCat(text, " in sequences of ", shape->sequence_length,
                      " tokens");
}

std::string ParameterText(const lory::v1::ModelSpec& spec) {
  const auto shape = config::ResolveModelShape(spec);
  if (!shape.ok()) return "(not a model that can be built)";
  const auto text = [](int64_t count) {
    return absl::StrCat(Grouped(count), " (",
                        Decimals(static_cast<double>(count) / 1e9, 3), " B)");
  };
  const int64_t all = config::ParameterCount(*shape);
  const int64_t active = config::ActiveParameterCount(*shape);
  if (active == all) return text(all);
  return absl::StrCat(text(all), ", of them active ", text(active));
}

void PrintEvaluation(const Job& job, Environment& environment) {
  const lory::v1::Evaluation& evaluation = job.progress().evaluation();
  if (evaluation.domains().empty()) return;
  environment.out << "\nheld-out text";
  if (TakesSteps(job)) {
    environment.out << " after step " << evaluation.step();
  } else if (job.initial_checkpoint().step() > 0) {
    environment.out << " by the weights of step "
                    << job.initial_checkpoint().step();
  }
  environment.out << "\n";
  const bool later = evaluation.overall().later_token_count() > 0 ||
                     evaluation.kept_out().later_token_count() > 0;
  std::vector<std::string> heads = {"DOMAIN", ">PERPLEXITY", ">LOSS",
                                    ">UNIGRAM ENTROPY", ">TOKENS"};
  if (later) heads.insert(heads.begin() + 3, ">LATER PERPLEXITY");
  Table table(heads);
  const auto add = [&](const lory::v1::DomainLoss& domain) {
    std::vector<Cell> cells = {
        domain.kept_out() ? absl::StrCat(domain.domain(), " (kept out)")
                          : domain.domain(),
        Decimals(domain.perplexity(), 2), Decimals(domain.loss(), 3),
        Decimals(domain.unigram_entropy(), 3), Grouped(domain.token_count())};
    if (later) {
      cells.insert(cells.begin() + 3, Decimals(domain.later_perplexity(), 2));
    }
    table.Add(std::move(cells));
  };
  for (const auto& domain : evaluation.domains()) add(domain);
  if (evaluation.overall().token_count() > 0) add(evaluation.overall());
  if (evaluation.has_kept_out()) {
    lory::v1::DomainLoss all = evaluation.kept_out();
    all.set_domain("all");
    add(all);
  }
  table.Print(environment, 2);
  if (later) {
    environment.out << "  later: without the first positions of a sequence, "
                       "where a segment may be routed by itself\n";
  }
  PrintOverfit(evaluation, environment);
}

void PrintRouting(const JobProgress& progress, Environment& environment) {
  if (progress.routing().empty()) return;
  const int experts = progress.routing(0).weight_mean_size();
  if (experts == 0) return;
  const bool numbers = experts <= kExpertsInNumbers;
  // Of variants that merge all experts nobody asks for these.
  const bool chosen =
      std::any_of(progress.routing().begin(), progress.routing().end(),
                  [](const lory::v1::LayerRouting& layer) {
                    return layer.load_ratio() > 1 || layer.unrouted_share() > 0;
                  });
  environment.out << "\nexperts: mean routing weight by layer; a full bar is "
                     "2/E\n";
  std::vector<std::string> heads = {
      ">LAYER", "WEIGHTS", numbers ? ">IN NUMBERS" : ">LOWEST, HIGHEST",
      ">ENTROPY", ">ACTIVE"};
  if (chosen) heads.insert(heads.end(), {">HIGHEST LOAD", ">UNROUTED"});
  Table table(heads);
  for (const auto& layer : progress.routing()) {
    std::vector<double> weights(layer.weight_mean().begin(),
                                layer.weight_mean().end());
    const auto [low, high] =
        std::minmax_element(weights.begin(), weights.end());
    std::vector<std::string> shown;
    if (numbers) {
      for (const double weight : weights) shown.push_back(Decimals(weight, 2));
    } else if (!weights.empty()) {
      shown = {Decimals(*low, 3), Decimals(*high, 3)};
    }
    std::vector<Cell> cells = {
        absl::StrCat(layer.layer()),
        Heights(weights, 2.0 / experts, environment.utf8),
        absl::StrJoin(shown, " "),
        absl::StrCat(Decimals(layer.entropy(), 2), " of ",
                     Decimals(std::log(experts), 2)),
        Percent(layer.active_share())};
    if (chosen) {
      cells.emplace_back(Decimals(layer.load_ratio(), 2) + " x mean");
      cells.emplace_back(Percent(layer.unrouted_share()));
    }
    table.Add(std::move(cells));
  }
  table.Print(environment, 2);
}

void PrintJob(const Job& job, Environment& environment) {
  const absl::Time now = environment.clock.WallNow();
  environment.out << ShortName(job.name()) << "  "
                  << Colored(environment, ColorOf(job.state()),
                             Job::State_Name(job.state()))
                  << "  " << job.reason() << "\n";
  if (job.spec().kind() == lory::v1::JobSpec::EVALUATE) {
    PrintLine(environment, "kind", "evaluate: measures, takes no steps");
  } else if (job.spec().kind() == lory::v1::JobSpec::ADAPT) {
    PrintLine(environment, "kind",
              "adapt: gates alone learn; the loss is the next token's entropy");
  }
  PrintLine(environment, "dataset", ShortName(job.spec().dataset()));
  PrintLine(environment, "model", ModelText(job.spec().model()));
  if (!job.spec().init_from().empty()) {
    PrintLine(environment, "begins from", BeginningText(job));
  }
  if (TakesSteps(job)) {
    PrintLine(environment, "batch",
              absl::StrCat(job.spec().micro_batch_count(), " micro-batches of ",
                           job.spec().micro_batch_sequences(), " sequences"));
  }
  PrintLine(environment, "workers",
            absl::StrCat(WorkersText(job.spec()), ", priority ",
                         job.spec().priority()));
  if (!TakesSteps(job)) {
    PrintMemory(job.progress(), environment);
  } else if (job.has_progress()) {
    PrintProgress(job, environment);
  }
  PrintLine(
      environment, "generation",
      absl::StrCat(job.generation(), ", recoveries ", job.recovery_count()));
  if (TakesSteps(job)) {
    PrintLine(environment, "checkpoint",
              job.checkpoint_step() < 0
                  ? "none yet"
                  : absl::StrCat("step ", job.checkpoint_step()));
  }
  std::string times =
      absl::StrCat("created ", Age(job.create_time(), now), " ago");
  if (job.has_start_time()) {
    absl::StrAppend(&times, ", started ", Age(job.start_time(), now), " ago");
  }
  if (job.has_end_time()) {
    absl::StrAppend(&times, ", ended ", Age(job.end_time(), now), " ago");
  }
  PrintLine(environment, "times", times);
  PrintMembers(job, environment);
  PrintEvaluation(job, environment);
  if (TakesSteps(job)) {
    PrintRouting(job.progress(), environment);
  } else {
    PrintDomainRouting(job.progress().evaluation(), environment);
  }
}

}  // namespace lory::ctl
