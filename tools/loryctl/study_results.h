#ifndef LORY_TOOLS_LORYCTL_STUDY_RESULTS_H_
#define LORY_TOOLS_LORYCTL_STUDY_RESULTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lory/v1/job.pb.h"
#include "tools/loryctl/study_file.h"
#include "tools/loryctl/study_jobs.h"

// What came out of a study: arithmetic over its jobs. Pure.
namespace lory::ctl {

// A figure of one job. To add one, add it to StudyColumns.
struct StudyColumn {
  std::string key;    // in results.csv
  std::string title;  // in results.md
  int digits = 0;     // after the point, in results.md
  bool is_perplexity = false;
  bool is_compared = false;  // with the variant's reference
  // None: the job has no such figure, or not yet.
  std::function<std::optional<double>(const lory::v1::Job&)> value;
  // How many tokens the figure is of, where jobs may leave out different
  // positions: those of other numbers have no difference. Null: all have one.
  std::function<int64_t(const lory::v1::Job&)> tokens = nullptr;
};

// All columns of these jobs: the fixed ones, and a perplexity a domain.
std::vector<StudyColumn> StudyColumns(const std::vector<StudyJob>& jobs);

// Key of the column that variants are compared by.
inline constexpr char kHeldOutLoss[] = "held_out_loss";

// A mean and how far it is to be trusted.
struct Estimate {
  size_t count = 0;
  double mean = 0;
  // Sample standard deviation / sqrt(count); none of fewer than two values.
  std::optional<double> standard_error;
};

Estimate EstimateOf(const std::vector<double>& values);

// "3.1000 ± 0.0577"; without the error where there is none or it is 0; "-" of
// no values. `sign`: with a + in front of what is positive.
std::string EstimateText(const Estimate& estimate, int digits,
                         bool sign = false);

// Over the jobs of variant `variant` that succeeded.
Estimate EstimateOf(const std::vector<StudyJob>& jobs, size_t variant,
                    const StudyColumn& column);

// Of variant - reference, each with the same seed; seeds of which one of the
// two did not succeed, or is of other positions, are left out.
Estimate DifferenceOf(const std::vector<StudyJob>& jobs, size_t variant,
                      size_t reference, const StudyColumn& column);

// A table of texts; the first row is the titles.
using TextTable = std::vector<std::vector<std::string>>;

// One row a variant: its columns, those that are compared with the difference
// from the variant's reference; without or with nothing but perplexities.
TextTable VariantTable(const StudyFile& study,
                       const std::vector<StudyJob>& jobs);
TextTable PerplexityTable(const StudyFile& study,
                          const std::vector<StudyJob>& jobs);

// How many of the jobs are in which state, in the order of a job's life:
// "3 succeeded, 2 running, 46 queued".
std::string StatesText(const std::vector<StudyJob>& jobs);

// The whole of results.csv: one row a job.
std::string StudyCsv(const StudyFile& study, const std::vector<StudyJob>& jobs);

// The line that results.md begins with: whose results they are.
std::string StudyTitle(const StudyFile& study);

// Between these two comments of results.md stands what was written here; the
// title before them stays, and whatever a person adds outside of them.
inline constexpr char kStudyBegin[] =
    "<!-- loryctl study report writes from here on -->";
inline constexpr char kStudyEnd[] =
    "<!-- as far as this; what stands outside is kept -->";

// The whole of a new results.md; `time` is when the jobs were looked at.
std::string StudyMarkdown(const StudyFile& study,
                          const std::vector<StudyJob>& jobs,
                          const std::string& time);

// results.svg: held-out loss by variant, with a bar of one standard error to
// each side. Empty: no variant has a loss.
std::string StudyPlot(const StudyFile& study,
                      const std::vector<StudyJob>& jobs);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_STUDY_RESULTS_H_
