#ifndef LORY_TOOLS_LORYCTL_STUDY_JOBS_H_
#define LORY_TOOLS_LORYCTL_STUDY_JOBS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lory/v1/job.pb.h"
#include "tools/loryctl/session.h"
#include "tools/loryctl/study_file.h"

// The jobs of a study and what became of them.
namespace lory::ctl {

// One variant with one seed.
struct StudyJob {
  size_t variant = 0;  // of StudyFile::variants
  int64_t seed = 0;
  config::JobFile file;
  // One for all tries, so that a try whose answer was lost is answered again.
  std::string request_id;
  // What the coordinator said last; without a name: it has no such job.
  lory::v1::Job job;

  bool exists() const { return !job.name().empty(); }
};

// The jobs of `study`, all variants of a seed before the next seed, each as
// the coordinator would store it, but for a model that is taken from a
// checkpoint. Asks it for the datasets; errors as FillFromDataset.
absl::StatusOr<std::vector<StudyJob>> PlanStudy(Session& session,
                                                const StudyFile& study);

// Asks the coordinator what became of the jobs that have not ended.
//
// ALREADY_EXISTS: there is a job of such a name with another spec; names the
// fields that differ.
absl::Status RefreshStudy(Session& session, std::vector<StudyJob>& jobs);

// Submits one that does not exist.
absl::Status SubmitStudyJob(Session& session, StudyJob& job);

// Where `a` and `b` differ, a line each, in the words of job.yaml: "steps: 100,
// not 200". What `job update` can change is not compared.
std::vector<std::string> SpecDifferences(const lory::v1::JobSpec& a,
                                         const lory::v1::JobSpec& b);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_STUDY_JOBS_H_
