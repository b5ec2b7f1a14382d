#ifndef LORY_TOOLS_LORYCTL_STUDY_FOLDER_H_
#define LORY_TOOLS_LORYCTL_STUDY_FOLDER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/loryctl/study_file.h"
#include "tools/loryctl/study_jobs.h"

// Where the results of a study lie: results.md, results.csv and results.svg.
namespace lory::ctl {

// The folder `to`, or if that is empty STUDY.results beside the study.
std::string StudyFolder(const StudyFile& study, const std::string& to);

// Whether what lies in `folder` under those names is of this study; other files
// do not matter. Reads the disk.
//
// ALREADY_EXISTS: a file is another study's, or somebody's own; names it.
// INVALID_ARGUMENT: `folder` is a file.
absl::Status CheckStudyFolder(const std::string& folder,
                              const StudyFile& study);

// Makes `folder` if it is not there; OK: files can be made in it, too. Errors
// are those of storage.
absl::Status MakeStudyFolder(const std::string& folder);

// Writes the three, but keeps what stands outside of the marks of results.md;
// `time` is when the jobs were looked at. One without marks, of which nobody
// can tell what a person added, is kept under another name, which is the
// result; empty: there was none.
//
// ALREADY_EXISTS: as CheckStudyFolder. FAILED_PRECONDITION: what lies there has
// results of jobs that are not there any more, or did not succeed when they
// were run again; `force` gives those up. Then nothing has changed.
absl::StatusOr<std::string> WriteStudyFolder(const std::string& folder,
                                             const StudyFile& study,
                                             const std::vector<StudyJob>& jobs,
                                             const std::string& time,
                                             bool force);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_STUDY_FOLDER_H_
