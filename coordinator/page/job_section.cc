#include "coordinator/page/job_section.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lory::coordinator::page {
namespace {

using lory::v1::Job;

std::string State(const Job& job) {
  const std::string name = Job::State_Name(job.state());
  return absl::StrCat("<span class=\"state ", absl::AsciiStrToLower(name),
                      "\">", name, "</span>");
}

std::string Remaining(const lory::v1::JobProgress& progress) {
  if (!progress.has_remaining_time()) return "";
  return absl::StrCat(
      " &middot; ",
      absl::FormatDuration(absl::Seconds(progress.remaining_time().seconds())),
      " left");
}

std::string Progress(const Job& job, const StatusPageData& data) {
  const auto& progress = job.progress();
  if (progress.step_count() == 0) return "";
  std::string out = absl::StrFormat(
      "<p>%s step %d of %d%s</p><dl>",
      Bar(static_cast<double>(progress.step()) / progress.step_count()),
      progress.step(), progress.step_count(), Remaining(progress));
  const auto pair = [&out](absl::string_view name, const std::string& value) {
    absl::StrAppend(&out, "<div><dt>", name, "</dt><dd>", value, "</dd></div>");
  };
  // Not known of a job that ended before this coordinator began.
  pair("loss",
       progress.loss() > 0 ? absl::StrFormat("%.4f", progress.loss()) : "-");
  pair(job.state() == Job::SUCCEEDED ? "mean tokens/s" : "tokens/s",
       Compact(progress.tokens_per_second()));
  pair("learning rate", absl::StrFormat("%.2e", progress.learning_rate()));
  pair("gradient norm", absl::StrFormat("%.2f", progress.gradient_norm()));
  pair("epoch", absl::StrFormat("%.2f", progress.epoch()));
  pair("generation", absl::StrCat(job.generation()));
  pair("recoveries", absl::StrCat(job.recovery_count()));
  pair("checkpoint", job.checkpoint_step() < 0
                         ? "none yet"
                         : absl::StrCat("step ", job.checkpoint_step()));
  absl::StrAppend(&out, "</dl>");
  if (const auto it = data.losses.find(job.name()); it != data.losses.end()) {
    absl::StrAppend(&out, Sparkline(it->second, 480, 48));
  }
  return out;
}

// What the step's time went into, as one stacked bar.
std::string StepTimes(const lory::v1::StepTimes& times) {
  if (times.total_seconds() <= 0) return "";
  std::string out = "<h4>where a step's time goes</h4><div class=stack>";
  const auto piece = [&](absl::string_view name, double seconds) {
    const double percent = 100 * seconds / times.total_seconds();
    if (percent < 0.05) return;
    absl::StrAppendFormat(&out,
                          "<span class=%s style=\"flex:%.3f\" "
                          "title=\"%s %.1f%%\">%s %.0f%%</span>",
                          name, percent, name, percent, name, percent);
  };
  piece("data", times.data_seconds());
  piece("forward", times.forward_seconds());
  piece("backward", times.backward_seconds());
  piece("reduce", times.reduce_seconds());
  piece("update", times.update_seconds());
  piece("checkpoint", times.checkpoint_seconds());
  return absl::StrCat(out, "</div>");
}

std::string Perplexities(const lory::v1::Evaluation& evaluation) {
  if (evaluation.domains().empty()) return "";
  std::string out = absl::StrCat(
      "<h4>held-out perplexity after step ", evaluation.step(),
      "</h4><table><tr><th>domain<th class=n>perplexity"
      "<th class=n>loss, nats<th class=n>unigram entropy<th class=n>tokens");
  const auto row = [&out](const lory::v1::DomainLoss& domain) {
    absl::StrAppendFormat(
        &out,
        "<tr><td>%s<td class=n>%.1f<td class=n>%.3f<td class=n>%.3f"
        "<td class=n>%s",
        Escape(domain.domain()) + (domain.kept_out() ? " (kept out)" : ""),
        domain.perplexity(), domain.loss(), domain.unigram_entropy(),
        Compact(static_cast<double>(domain.token_count())));
  };
  for (const auto& domain : evaluation.domains()) row(domain);
  if (evaluation.has_overall()) row(evaluation.overall());
  if (evaluation.has_train()) row(evaluation.train());
  return absl::StrCat(out, "</table>");
}

// Layers down, experts across: mean routing weight, coloured by its multiple
// of an even share.
std::string Experts(const lory::v1::JobProgress& progress) {
  if (progress.dense_phase()) {
    return "<h4>experts</h4><p class=quiet>dense phase: the feed-forward has "
           "not been duplicated into experts yet</p>";
  }
  if (progress.routing().empty()) return "";
  std::string out =
      "<h4>experts: mean routing weight</h4><table class=experts><tr><th>layer";
  const int experts = progress.routing(0).weight_mean_size();
  for (int e = 0; e < experts; ++e) absl::StrAppend(&out, "<th class=n>", e);
  absl::StrAppend(&out, "<th class=n>entropy<th class=n>active");
  for (const auto& layer : progress.routing()) {
    absl::StrAppend(&out, "<tr><td>", layer.layer());
    for (const double weight : layer.weight_mean()) {
      absl::StrAppend(&out, HeatCell(weight, weight * experts / 3));
    }
    absl::StrAppendFormat(&out, "<td class=n>%.2f / %.2f<td class=n>%.0f%%",
                          layer.entropy(), std::log(std::max(experts, 1)),
                          100 * layer.active_share());
  }
  return absl::StrCat(out, "</table>");
}

std::string Members(const Job& job) {
  if (job.members().empty()) return "";
  std::string out =
      "<h4>members</h4><table><tr><th>rank<th>worker<th class=n>slot"
      "<th class=n>micro-batches<th class=n>applied step<th class=n>step time";
  for (const auto& member : job.members()) {
    absl::StrAppendFormat(
        &out,
        "<tr><td>%d<td>%s<td class=n>%d<td class=n>%d<td class=n>%d"
        "<td class=n>%.3f s",
        member.rank(), Escape(member.worker()), member.slot(),
        member.micro_batch_count(), member.applied_step(),
        member.step_seconds());
  }
  return absl::StrCat(out, "</table>");
}

std::string Events(const Job& job, const StatusPageData& data) {
  const auto it = data.events.find(job.name());
  if (it == data.events.end() || it->second.empty()) return "";
  std::string out = "<h4>what happened last</h4><table>";
  for (auto event = it->second.rbegin(); event != it->second.rend(); ++event) {
    const absl::Time time = absl::FromUnixSeconds(event->time().seconds());
    absl::StrAppend(
        &out, "<tr><td class=quiet>",
        absl::FormatTime("%H:%M:%S", time, absl::UTCTimeZone()), "<td>",
        absl::AsciiStrToLower(lory::v1::JobEvent::Kind_Name(event->kind())),
        "<td>", Escape(event->message()));
  }
  return absl::StrCat(out, "</table>");
}

}  // namespace

std::string RenderJob(const Job& job, const StatusPageData& data) {
  return absl::StrCat(
      "<section><h3>", Escape(job.name()), " ", State(job),
      "</h3><p class=quiet>", Escape(job.reason()), "</p>", Progress(job, data),
      StepTimes(job.progress().step_times()),
      Perplexities(job.progress().evaluation()), Experts(job.progress()),
      Members(job), Events(job, data), "</section>");
}

}  // namespace lory::coordinator::page
