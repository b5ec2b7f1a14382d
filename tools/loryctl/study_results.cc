#include "tools/loryctl/study_results.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/model_shape.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::DomainLoss;
using ::lory::v1::Evaluation;
using ::lory::v1::Job;

// A figure that the coordinator leaves at 0 while it is not known.
std::optional<double> Known(double value) {
  return value > 0 ? std::optional<double>(value) : std::nullopt;
}

const Evaluation& EvaluationOf(const Job& job) {
  return job.progress().evaluation();
}

std::optional<double> HeldOutLoss(const Job& job) {
  if (!EvaluationOf(job).has_overall()) return std::nullopt;
  return EvaluationOf(job).overall().loss();
}

// The loss without first positions, see DomainLoss, of what `of` takes from
// an evaluation.
StudyColumn LaterColumn(const char* key, const char* title,
                        const DomainLoss& (Evaluation::*of)() const) {
  const auto value = [of](const Job& job) -> std::optional<double> {
    const DomainLoss& loss = (EvaluationOf(job).*of)();
    if (loss.later_token_count() == 0) return std::nullopt;
    return loss.later_loss();
  };
  const auto tokens = [of](const Job& job) -> int64_t {
    return (EvaluationOf(job).*of)().later_token_count();
  };
  return {key, title, 4, false, true, value, tokens};
}

std::optional<double> KeptOutLoss(const Job& job) {
  if (!EvaluationOf(job).has_kept_out()) return std::nullopt;
  return EvaluationOf(job).kept_out().loss();
}

std::optional<double> TrainTextLoss(const Job& job) {
  if (!EvaluationOf(job).has_train()) return std::nullopt;
  return EvaluationOf(job).train().loss();
}

// Share of experts that some held-out segment gave more than 2/E, mean over
// layers. Not by the routing of the last training steps: a coordinator that
// was started again does not know it.
std::optional<double> ActiveExperts(const Job& job) {
  std::map<int, std::vector<bool>> active;  // by layer, of each expert
  for (const DomainLoss& domain : EvaluationOf(job).domains()) {
    for (const auto& layer : domain.routing()) {
      std::vector<bool>& experts = active[layer.layer()];
      experts.resize(static_cast<size_t>(layer.active_fraction_size()));
      for (int i = 0; i < layer.active_fraction_size(); ++i) {
        if (layer.active_fraction(i) > 0)
          experts[static_cast<size_t>(i)] = true;
      }
    }
  }
  double sum = 0;
  for (const auto& [layer, experts] : active) {
    if (experts.empty()) return std::nullopt;
    sum +=
        static_cast<double>(std::count(experts.begin(), experts.end(), true)) /
        static_cast<double>(experts.size());
  }
  if (active.empty()) return std::nullopt;
  return sum / static_cast<double>(active.size());
}

template <typename Count>
auto Parameters(Count count) {
  return [count](const Job& job) -> std::optional<double> {
    const auto shape = config::ResolveModelShape(job.spec().model());
    if (!shape.ok()) return std::nullopt;
    return static_cast<double>(count(*shape)) / 1e6;
  };
}

StudyColumn PerplexityColumn(const std::string& domain) {
  const auto value = [domain](const Job& job) -> std::optional<double> {
    for (const DomainLoss& found : EvaluationOf(job).domains()) {
      if (found.domain() == domain) return found.perplexity();
    }
    return std::nullopt;
  };
  return {absl::StrCat("perplexity_", domain), domain, 2, true, false, value};
}

const StudyColumn& LossColumn(const std::vector<StudyColumn>& columns) {
  for (const StudyColumn& column : columns) {
    if (column.key == kHeldOutLoss) return column;
  }
  return columns.front();
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string StateName(const StudyJob& job) {
  return job.exists() ? Job::State_Name(job.job.state()) : "NOT SUBMITTED";
}

std::string MarkdownTable(const TextTable& table) {
  std::string text;
  for (size_t row = 0; row < table.size(); ++row) {
    absl::StrAppend(&text, "| ", absl::StrJoin(table[row], " | "), " |\n");
    if (row > 0) continue;
    text += "|---|";
    for (size_t i = 1; i < table[row].size(); ++i) text += "---:|";
    text += "\n";
  }
  return text;
}

std::string YamlBlock(const std::string& text) {
  const bool ends = !text.empty() && text.back() == '\n';
  return absl::StrCat("```yaml\n", text, ends ? "" : "\n", "```\n");
}

// What did not succeed, each with its reason.
std::string UnfinishedText(const std::vector<StudyJob>& jobs) {
  std::string text;
  for (const StudyJob& job : jobs) {
    if (job.job.state() == Job::SUCCEEDED) continue;
    absl::StrAppend(&text, "- `", job.file.name, "` ", StateName(job));
    if (!job.job.reason().empty()) {
      absl::StrAppend(&text, ": ", job.job.reason());
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::vector<StudyColumn> StudyColumns(const std::vector<StudyJob>& jobs) {
  std::vector<StudyColumn> columns = {
      {kHeldOutLoss, "held-out loss", 4, false, true, HeldOutLoss},
      LaterColumn("later_loss", "later loss", &Evaluation::overall),
      {"kept_out_loss", "kept-out loss", 4, false, true, KeptOutLoss},
      LaterColumn("kept_out_later_loss", "kept-out later loss",
                  &Evaluation::kept_out),
      {"train_text_loss", "training text", 3, false, false, TrainTextLoss},
      {"tokens_per_second", "tokens/s", 0, false, false,
       [](const Job& job) {
         return Known(job.progress().tokens_per_second());
       }},
      {"active_experts", "active experts", 2, false, false, ActiveExperts},
      {"parameters_millions", "parameters, M", 2, false, false,
       Parameters(config::ParameterCount)},
      {"active_parameters_millions", "active, M", 2, false, false,
       Parameters(config::ActiveParameterCount)},
  };
  // What no job has, such as domains kept out of training, is no column.
  std::erase_if(columns, [&](const StudyColumn& column) {
    return column.key != kHeldOutLoss &&
           std::none_of(jobs.begin(), jobs.end(), [&](const StudyJob& job) {
             return job.exists() && column.value(job.job).has_value();
           });
  });
  std::set<std::string> domains;
  for (const StudyJob& job : jobs) {
    for (const DomainLoss& domain : EvaluationOf(job.job).domains()) {
      domains.insert(domain.domain());
    }
  }
  for (const std::string& domain : domains) {
    columns.push_back(PerplexityColumn(domain));
  }
  return columns;
}

Estimate EstimateOf(const std::vector<double>& values) {
  Estimate estimate{.count = values.size()};
  if (values.empty()) return estimate;
  const double count = static_cast<double>(values.size());
  for (const double value : values) estimate.mean += value / count;
  if (values.size() < 2) return estimate;
  double squares = 0;
  for (const double value : values) {
    squares += (value - estimate.mean) * (value - estimate.mean);
  }
  estimate.standard_error = std::sqrt(squares / (count - 1) / count);
  return estimate;
}

std::string EstimateText(const Estimate& estimate, int digits, bool sign) {
  if (estimate.count == 0) return "-";
  std::string text = Decimals(estimate.mean, digits);
  if (sign && estimate.mean > 0) text.insert(0, "+");
  // Equal values, such as sizes, differ by rounding at most.
  if (estimate.standard_error.value_or(0) > 1e-12 * std::abs(estimate.mean)) {
    absl::StrAppend(&text, " ± ", Decimals(*estimate.standard_error, digits));
  }
  return text;
}

Estimate EstimateOf(const std::vector<StudyJob>& jobs, size_t variant,
                    const StudyColumn& column) {
  std::vector<double> values;
  for (const StudyJob& job : jobs) {
    if (job.variant != variant || job.job.state() != Job::SUCCEEDED) continue;
    if (const auto value = column.value(job.job)) values.push_back(*value);
  }
  return EstimateOf(values);
}

Estimate DifferenceOf(const std::vector<StudyJob>& jobs, size_t variant,
                      size_t reference, const StudyColumn& column) {
  struct Figure {
    double value = 0;
    int64_t tokens = 0;
  };
  std::map<int64_t, std::map<size_t, Figure>> by_seed;
  for (const StudyJob& job : jobs) {
    if (job.job.state() != Job::SUCCEEDED) continue;
    if (const auto value = column.value(job.job)) {
      by_seed[job.seed][job.variant] = {
          *value, column.tokens ? column.tokens(job.job) : 0};
    }
  }
  std::vector<double> differences;
  for (const auto& [seed, values] : by_seed) {
    const auto of_variant = values.find(variant);
    const auto of_reference = values.find(reference);
    if (of_variant == values.end() || of_reference == values.end()) continue;
    const Figure& left = of_variant->second;
    const Figure& right = of_reference->second;
    if (left.tokens == right.tokens) {
      differences.push_back(left.value - right.value);
    }
  }
  return EstimateOf(differences);
}

TextTable VariantTable(const StudyFile& study,
                       const std::vector<StudyJob>& jobs) {
  const std::vector<StudyColumn> columns = StudyColumns(jobs);
  TextTable table = {{"variant", "jobs", "compared with"}};
  for (const StudyColumn& column : columns) {
    if (column.is_perplexity) continue;
    table[0].push_back(column.title);
    if (column.is_compared) table[0].push_back("difference");
  }
  for (size_t i = 0; i < study.variants.size(); ++i) {
    const Estimate loss = EstimateOf(jobs, i, LossColumn(columns));
    std::vector<std::string> row = {
        study.variants[i].name,
        absl::StrCat(loss.count, "/", study.seeds.size())};
    const size_t reference = study.variants[i].reference;
    row.push_back(i == reference ? "-" : study.variants[reference].name);
    for (const StudyColumn& column : columns) {
      if (column.is_perplexity) continue;
      row.push_back(EstimateText(EstimateOf(jobs, i, column), column.digits));
      if (!column.is_compared) continue;
      row.push_back(i == reference
                        ? "-"
                        : EstimateText(DifferenceOf(jobs, i, reference, column),
                                       column.digits, true));
    }
    table.push_back(std::move(row));
  }
  return table;
}

TextTable PerplexityTable(const StudyFile& study,
                          const std::vector<StudyJob>& jobs) {
  const std::vector<StudyColumn> columns = StudyColumns(jobs);
  TextTable table = {{"variant"}};
  for (size_t i = 0; i < study.variants.size(); ++i) {
    table.push_back({study.variants[i].name});
  }
  for (const StudyColumn& column : columns) {
    if (!column.is_perplexity) continue;
    table[0].push_back(column.title);
    for (size_t i = 0; i < study.variants.size(); ++i) {
      table[i + 1].push_back(
          EstimateText(EstimateOf(jobs, i, column), column.digits));
    }
  }
  return table;
}

std::string StatesText(const std::vector<StudyJob>& jobs) {
  int counts[6] = {};
  constexpr const char* kWords[] = {"succeeded", "running",   "queued",
                                    "failed",    "cancelled", "not submitted"};
  for (const StudyJob& job : jobs) {
    const Job::State state = job.job.state();
    int which = 1;
    if (state == Job::SUCCEEDED) which = 0;
    if (state == Job::QUEUED || state == Job::PAUSED) which = 2;
    if (state == Job::FAILED) which = 3;
    if (state == Job::CANCELLED) which = 4;
    if (!job.exists()) which = 5;
    ++counts[which];
  }
  std::vector<std::string> parts = {
      absl::StrCat(counts[0], " of ", jobs.size(), " jobs ", kWords[0])};
  for (int i = 1; i < 6; ++i) {
    if (counts[i] > 0) parts.push_back(absl::StrCat(counts[i], " ", kWords[i]));
  }
  return absl::StrJoin(parts, ", ");
}

std::string StudyCsv(const StudyFile& study,
                     const std::vector<StudyJob>& jobs) {
  const std::vector<StudyColumn> columns = StudyColumns(jobs);
  std::vector<std::string> fields = {"variant", "seed",  "job",
                                     "state",   "steps", "evaluated_step"};
  for (const StudyColumn& column : columns) fields.push_back(column.key);
  fields.push_back("reason");
  std::string text = absl::StrJoin(fields, ",") + "\n";
  for (const StudyJob& job : jobs) {
    fields = {study.variants[job.variant].name,
              absl::StrCat(job.seed),
              job.file.name,
              StateName(job),
              absl::StrCat(job.job.progress().step()),
              EvaluationOf(job.job).has_overall()
                  ? absl::StrCat(EvaluationOf(job.job).step())
                  : ""};
    for (const StudyColumn& column : columns) {
      const auto value = job.exists() ? column.value(job.job) : std::nullopt;
      fields.push_back(value ? absl::StrFormat("%.8g", *value) : "");
    }
    fields.push_back(CsvField(job.job.reason()));
    absl::StrAppend(&text, absl::StrJoin(fields, ","), "\n");
  }
  return text;
}

std::string StudyTitle(const StudyFile& study) {
  return absl::StrCat("# Study ", study.name, "\n");
}

std::string StudyMarkdown(const StudyFile& study,
                          const std::vector<StudyJob>& jobs,
                          const std::string& time) {
  std::string text = absl::StrCat(StudyTitle(study), "\n", kStudyBegin, "\n\n",
                                  StatesText(jobs), " (", time, ").\n\n");
  absl::StrAppend(
      &text, "Means over seeds of jobs that succeeded, ± one standard error. ",
      "Losses are in nats a token, held-out ones after the last step; the ",
      "difference from another variant is taken seed by seed. Later: without "
      "the first positions of a sequence, where a segment may be routed by "
      "itself; two later losses are subtracted only where they are of equally "
      "many tokens. All other losses, the perplexities and the plot are at all "
      "positions: a segment that routes itself sees there what follows, which "
      "flatters its model. Active experts: the share that some held-out "
      "segment gave more than 2/E, mean over layers.\n\n",
      MarkdownTable(VariantTable(study, jobs)));
  const TextTable perplexities = PerplexityTable(study, jobs);
  if (perplexities[0].size() > 1) {
    absl::StrAppend(&text, "\n## Perplexity by domain\n\n",
                    MarkdownTable(perplexities));
  }
  if (!StudyPlot(study, jobs).empty()) {
    text += "\n![Held-out loss by variant](results.svg)\n";
  }
  const std::string unfinished = UnfinishedText(jobs);
  if (!unfinished.empty()) {
    absl::StrAppend(&text, "\n## Jobs that did not succeed\n\n", unfinished);
  }
  absl::StrAppend(&text, "\n## The study\n\n", YamlBlock(study.text));
  if (!study.base_text.empty()) {
    absl::StrAppend(&text, "\nIts base_file, `", study.base.source.name,
                    "`:\n\n", YamlBlock(study.base_text));
  }
  absl::StrAppend(
      &text, "\n## Again\n\nWith its datasets registered (`loryctl dataset ",
      "list`):\n\n```\nloryctl study run ", study.path,
      "\n```\n\nEvery job is in `results.csv`; `loryctl job get NAME ",
      "--job-file` prints one whole.\n\n", kStudyEnd, "\n");
  return text;
}

}  // namespace lory::ctl
