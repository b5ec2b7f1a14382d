#include "common/config/job_validation.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/config/field_checks.h"
#include "common/config/generation_labels.h"
#include "common/config/model_shape.h"
#include "common/config/optimizer_defaults.h"

namespace lory::config {
namespace {

using ::lory::v1::JobSpec;

constexpr absl::Duration kShortestInterval = absl::Seconds(1);
constexpr absl::Duration kLongestInterval = absl::Hours(365 * 24);
constexpr char kModel[] = "spec.model.";
constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxLabelKey = 63;
constexpr size_t kMaxLabelValue = 255;

class Violations {
 public:
  void Range(const char* field, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return;
    Add(field, absl::StrCat(value, " is not in ", low, "..", high));
  }

  void Add(absl::string_view field, std::string what) {
    found_.push_back({absl::StrCat("spec.", field), std::move(what)});
  }

  // What a person may ask for; the optimizer itself would take any number.
  void AtMost(const char* field, double value, double high) {
    if (!(value > high) || std::isinf(value)) return;  // inf: told already
    Add(field, absl::StrCat(value, " is above ", high, ", the most there is"));
  }

  void Add(FieldViolation violation) { found_.push_back(std::move(violation)); }

  // A status of field_checks.h.
  void AddStatus(const absl::Status& status) {
    for (FieldViolation& violation : ViolationsIn(status)) {
      found_.push_back(std::move(violation));
    }
  }

  std::vector<FieldViolation> Take() { return std::move(found_); }

 private:
  std::vector<FieldViolation> found_;
};

int32_t MinWorkers(const JobSpec& spec) {
  return spec.min_workers() == 0 ? 1 : spec.min_workers();
}

int32_t MaxWorkers(const JobSpec& spec) {
  return spec.max_workers() == 0 ? MinWorkers(spec) : spec.max_workers();
}

void CheckWorkers(const JobSpec& spec, Violations& found) {
  found.Range("min_workers", MinWorkers(spec), 1, 1024);
  found.Range("max_workers", MaxWorkers(spec), 1, 1024);
  if (MaxWorkers(spec) < MinWorkers(spec)) {
    found.Add("max_workers",
              absl::StrCat(MaxWorkers(spec), " is below min_workers (",
                           MinWorkers(spec), ")"));
  }
  if (spec.kind() != JobSpec::EVALUATE && spec.micro_batch_count() >= 1 &&
      spec.micro_batch_count() < MaxWorkers(spec)) {
    found.Add("micro_batch_count",
              absl::StrCat(spec.micro_batch_count(), " is below max_workers (",
                           MaxWorkers(spec),
                           "): every trainer needs a micro-batch in each "
                           "step"));
  }
}

void CheckLabels(const JobSpec& spec, Violations& found) {
  size_t count = 0;
  for (const auto& [key, value] : spec.labels()) {
    if (IsGenerationLabel(key)) continue;  // as long as others wrote it
    if (++count == kMaxLabels + 1) {
      found.Add("labels", absl::StrCat("more than ", kMaxLabels));
    }
    if (key.empty() || key.size() > kMaxLabelKey ||
        value.size() > kMaxLabelValue) {
      found.Add("labels",
                absl::StrCat("'", key.substr(0, kMaxLabelKey),
                             "': keys have 1 to ", kMaxLabelKey,
                             " characters, values at most ", kMaxLabelValue));
    }
  }
}

void CheckOptimizer(const lory::v1::OptimizerSpec& spec, Violations& found) {
  found.AddStatus(ValidateOptimizerSpec(spec, "spec.optimizer"));
  found.AtMost("optimizer.peak_learning_rate", spec.peak_learning_rate(), 10);
  found.AtMost("optimizer.epsilon", spec.epsilon(), 1);
  found.AtMost("optimizer.weight_decay", spec.weight_decay(), 10);
  found.AtMost("optimizer.clip_norm", spec.clip_norm(), 1e6);
  if (spec.nonfinite_step_limit() > 1'000'000) {
    found.Range("optimizer.nonfinite_step_limit", spec.nonfinite_step_limit(),
                1, 1'000'000);
  }
}

// What every model must say, of the names that ModelSpec has for it.
std::vector<std::string> MissingSizes(const lory::v1::ModelSpec& model) {
  const std::pair<const char*, int64_t> sizes[] = {
      {"vocabulary_size", model.vocabulary_size()},
      {"layer_count", model.layer_count()},
      {"width", model.width()},
      {"head_count", model.head_count()},
      {"sequence_length", model.sequence_length()}};
  std::vector<std::string> missing;
  for (const auto& [field, value] : sizes) {
    if (value == 0) missing.emplace_back(field);
  }
  return missing;
}

// What the model is asked for where there is one that is not a checkpoint's.
void CheckModel(const JobSpec& spec, Violations& found) {
  if (!spec.has_model() && (!spec.init_from().empty() || NeedsWeights(spec))) {
    return;
  }
  const absl::Status status = ValidateModelSpec(spec.model(), "spec.model");
  if (spec.init_from().empty()) return found.AddStatus(status);
  // Somebody who wrote one key of it alone expects the checkpoint's others.
  const std::vector<std::string> missing = MissingSizes(spec.model());
  if (!missing.empty()) {
    found.Add("model",
              absl::StrCat("with init_from it is left out, to be the "
                           "checkpoint's, or written whole; ",
                           absl::StrJoin(missing, ", "), " missing or 0"));
  }
  for (FieldViolation& violation : ViolationsIn(status)) {
    const absl::string_view field = absl::StripPrefix(violation.field, kModel);
    if (absl::c_linear_search(missing, field)) continue;  // told already
    found.Add(std::move(violation));
  }
}

// What kinds need.
void CheckKind(const JobSpec& spec, Violations& found) {
  const bool adapts = spec.kind() == JobSpec::ADAPT;
  if (!JobSpec::Kind_IsValid(spec.kind())) {
    found.Add("kind", absl::StrCat("unknown value ", spec.kind()));
  }
  if (NeedsWeights(spec) && spec.init_from().empty()) {
    found.Add(
        "init_from",
        absl::StrCat("missing; a job of kind ", JobSpec::Kind_Name(spec.kind()),
                     " names the job or the checkpoint that it begins "
                     "from"));
  }
  if (!adapts) return;
  if (spec.has_model() &&
      !spec.model().feed_forward().has_weight_ensembling()) {
    found.Add("model.feed_forward",
              "only the gates of weight_ensembling can be adapted; `lory-model "
              "ensemble` makes such a model");
  }
  // What does not learn would shrink.
  if (spec.optimizer().weight_decay() > 0) {
    found.Add("optimizer.weight_decay",
              absl::StrCat(spec.optimizer().weight_decay(),
                           " where the kind is ADAPT, which has none"));
  }
}

void CheckInterval(const lory::v1::CheckpointSpec& spec, Violations& found) {
  if (!spec.has_every()) return;
  const absl::Duration every = absl::Seconds(spec.every().seconds()) +
                               absl::Nanoseconds(spec.every().nanos());
  if (every >= kShortestInterval && every <= kLongestInterval) return;
  found.Add("checkpoint.every",
            absl::StrCat(absl::FormatDuration(every), " is not in ",
                         absl::FormatDuration(kShortestInterval), "..",
                         absl::FormatDuration(kLongestInterval)));
}

// What an evaluation has no use for must not be there.
void CheckEvaluationOnly(const JobSpec& spec, Violations& found) {
  constexpr char kNoSteps[] = "a job of kind EVALUATE takes no steps";
  if (spec.step_count() != 0) found.Add("step_count", kNoSteps);
  if (spec.has_optimizer()) found.Add("optimizer", kNoSteps);
  if (spec.has_checkpoint()) found.Add("checkpoint", kNoSteps);
  found.Range("micro_batch_count", spec.micro_batch_count(), 0, 4096);
  found.Range("micro_batch_sequences", spec.micro_batch_sequences(), 0, 4096);
}

}  // namespace

bool NeedsWeights(const JobSpec& spec) {
  return spec.kind() == JobSpec::ADAPT || spec.kind() == JobSpec::EVALUATE;
}

std::vector<FieldViolation> FindJobViolations(const JobSpec& spec) {
  Violations found;
  if (!absl::StartsWith(spec.dataset(), "datasets/") ||
      spec.dataset().size() == 9) {
    found.Add("dataset", absl::StrCat("'", spec.dataset(),
                                      "' is not of the form datasets/NAME"));
  }
  CheckKind(spec, found);
  CheckModel(spec, found);
  if (spec.kind() == JobSpec::EVALUATE) {
    CheckEvaluationOnly(spec, found);
  } else {
    CheckOptimizer(spec.optimizer(), found);
    found.Range("step_count", spec.step_count(), 1, 100'000'000);
    found.Range("micro_batch_count", spec.micro_batch_count(), 1, 4096);
    found.Range("micro_batch_sequences", spec.micro_batch_sequences(), 1, 4096);
  }
  CheckWorkers(spec, found);
  if (spec.seed() < 0) {
    found.Add("seed", absl::StrCat(spec.seed(), " is below 0"));
  }
  found.Range("priority", spec.priority(), -1000, 1000);
  found.Range("threads", spec.threads(), 0, 4096);
  found.Range("checkpoint.every_steps", spec.checkpoint().every_steps(), 0,
              100'000'000);
  found.Range("checkpoint.keep_count", spec.checkpoint().keep_count(), 0,
              10'000);
  CheckInterval(spec.checkpoint(), found);
  found.Range("evaluation.every_steps", spec.evaluation().every_steps(), 0,
              100'000'000);
  found.Range("evaluation.sequences_per_domain",
              spec.evaluation().sequences_per_domain(), 0, 1'000'000'000);
  found.Range("evaluation.first_positions", spec.evaluation().first_positions(),
              0, 1'000'000);
  found.Range("evaluation.train_sequences", spec.evaluation().train_sequences(),
              -1, 1'000'000'000);
  if (!JobSpec::Numerics_IsValid(spec.numerics())) {
    found.Add("numerics", absl::StrCat("unknown value ", spec.numerics()));
  }
  CheckLabels(spec, found);
  return found.Take();
}

absl::Status ValidateJobSpec(const JobSpec& spec) {
  std::vector<FieldViolation> violations = FindJobViolations(spec);
  if (!violations.empty()) return FieldErrors(std::move(violations));
  if (spec.numerics() == JobSpec::EXACT) {
    return ErrorWithReason(
        absl::StatusCode::kUnimplemented, "NUMERICS_UNIMPLEMENTED",
        "spec.numerics: EXACT comes with a later release; use FAST");
  }
  return absl::OkStatus();
}

JobSpec FillDefaults(JobSpec spec) {
  if (spec.kind() == JobSpec::KIND_UNSPECIFIED) spec.set_kind(JobSpec::TRAIN);
  const bool evaluates = spec.kind() == JobSpec::EVALUATE;
  if (evaluates) {
    // They only say how the work is shared out.
    spec.set_micro_batch_count(
        std::max(spec.micro_batch_count(), MaxWorkers(spec)));
    if (spec.micro_batch_sequences() == 0) spec.set_micro_batch_sequences(8);
  }
  if (spec.kind() == JobSpec::ADAPT) {
    spec.mutable_optimizer()->set_weight_decay(-1);
  }
  const auto shape = ResolveModelShape(spec.model());
  if (shape.ok()) {
    auto* model = spec.mutable_model();
    model->set_key_value_head_count(
        static_cast<int32_t>(shape->key_value_head_count));
    model->set_feed_forward_width(
        static_cast<int32_t>(shape->feed_forward_width));
    model->set_rotary_base(shape->rotary_base);
    model->set_norm_epsilon(shape->norm_epsilon);
    model->set_init_stddev(shape->init_stddev);
    *model->mutable_feed_forward() = shape->feed_forward_spec;
  }
  const auto optimizer = ResolveOptimizer(spec.optimizer());
  if (optimizer.ok()) {
    auto* out = spec.mutable_optimizer();
    out->set_beta1(optimizer->beta1);
    out->set_beta2(optimizer->beta2);
    out->set_epsilon(optimizer->epsilon);
    // Negative values say "none" and stay; 0 would mean the default again.
    if (out->weight_decay() == 0)
      out->set_weight_decay(optimizer->weight_decay);
    if (out->clip_norm() == 0) out->set_clip_norm(optimizer->clip_norm);
    if (out->warmup_fraction() == 0) {
      out->set_warmup_fraction(optimizer->warmup_fraction);
    }
    if (out->final_fraction() == 0) {
      out->set_final_fraction(optimizer->final_fraction);
    }
    out->set_nonfinite_step_limit(optimizer->nonfinite_step_limit);
  }
  spec.set_min_workers(MinWorkers(spec));
  spec.set_max_workers(MaxWorkers(spec));
  if (spec.numerics() == JobSpec::NUMERICS_UNSPECIFIED) {
    spec.set_numerics(JobSpec::FAST);
  }
  if (spec.checkpoint().keep_count() == 0 && !evaluates) {
    spec.mutable_checkpoint()->set_keep_count(3);
  }
  return spec;
}

absl::Status CheckAgainstDataset(const JobSpec& spec, int64_t vocabulary_size,
                                 int64_t sequence_length) {
  if (spec.model().vocabulary_size() != vocabulary_size) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "DATASET_MISMATCH",
        absl::StrCat("spec.model.vocabulary_size: it is ",
                     spec.model().vocabulary_size(), ", but the tokenizer of ",
                     spec.dataset(), " has ", vocabulary_size, " ids"));
  }
  if (spec.model().sequence_length() != sequence_length) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "DATASET_MISMATCH",
        absl::StrCat("spec.model.sequence_length: it is ",
                     spec.model().sequence_length(), ", but the sequences of ",
                     spec.dataset(), " have ", sequence_length, " tokens"));
  }
  return absl::OkStatus();
}

}  // namespace lory::config
