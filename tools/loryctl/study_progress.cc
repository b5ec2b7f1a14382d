#include "tools/loryctl/study_progress.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/study_results.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

// Tokens that `steps` of a job train on.
double TokensOf(const StudyJob& job, int64_t steps) {
  const lory::v1::JobSpec& spec = job.file.spec;
  return static_cast<double>(steps) * spec.micro_batch_count() *
         spec.micro_batch_sequences() * spec.model().sequence_length();
}

}  // namespace

void StudyProgress::Show(const std::vector<StudyJob>& jobs) {
  const std::string line = Line(jobs);
  const std::string states = StatesText(jobs);
  if (environment_.err_is_terminal) {
    environment_.err << "\r\x1b[K" << Clipped(line, environment_.columns - 1)
                     << std::flush;
  } else if (states != last_states_) {
    environment_.err << line << std::endl;
  }
  last_states_ = states;
}

void StudyProgress::Say(absl::string_view text) {
  if (environment_.err_is_terminal) environment_.err << "\r\x1b[K";
  environment_.err << text << std::endl;
}

std::string StudyProgress::Line(const std::vector<StudyJob>& jobs) {
  double done = 0;
  double left = 0;
  for (const StudyJob& job : jobs) {
    const int64_t step = job.job.progress().step();
    done += TokensOf(job, step);
    if (IsFinal(job.job.state())) continue;
    left += TokensOf(job, job.file.spec.step_count() - step);
  }
  const absl::Time now = environment_.clock.MonotonicNow();
  if (start_ == absl::InfinitePast()) {
    start_ = now;
    tokens_at_start_ = done;
  }
  std::string line = StatesText(jobs);
  const double seconds = absl::ToDoubleSeconds(now - start_);
  const double gained = done - tokens_at_start_;
  if (seconds <= 0 || gained <= 0) return line;
  absl::StrAppend(&line, "  ", Grouped(std::llround(gained / seconds)),
                  " tokens/s");
  if (left > 0) {
    absl::StrAppend(&line, "  ", Brief(absl::Seconds(left * seconds / gained)),
                    " left");
  }
  return line;
}

}  // namespace lory::ctl
