#ifndef LORY_TOOLS_LORYCTL_STUDY_FILE_H_
#define LORY_TOOLS_LORYCTL_STUDY_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/config/job_file.h"

// study.yaml: one job, and variants of it that differ in one thing each.
// docs/studies/README.md describes it.
namespace lory::ctl {

// One thing changed.
struct StudyVariant {
  std::string name;
  int line = 0;                          // of the study.yaml
  std::string against;                   // variant it is compared with
  size_t reference = 0;                  // the same, of StudyFile::variants
  std::vector<config::JobLayer> layers;  // over the base
};

// A study.yaml as read.
struct StudyFile {
  std::string name;  // the first word of every job's name
  std::string path;
  std::string text;
  config::JobLayer base;
  std::string base_text;  // of the base_file; empty: there is none
  std::vector<int64_t> seeds;
  std::vector<StudyVariant> variants;
  size_t reference = 0;  // what variants without `against` are compared with
};

// Reads the study at `path` and the base_file that it names.
//
// NOT_FOUND: no such file. INVALID_ARGUMENT: anything wrong, all of it at
// once, a line each: "study.yaml:7: varaints: unknown key; did you mean
// variants?".
absl::StatusOr<StudyFile> ReadStudyFile(const std::string& path);

// "STUDY-VARIANT-sSEED".
std::string StudyJobName(const StudyFile& study, const StudyVariant& variant,
                         int64_t seed);

// The job of one variant and seed, checked as far as can be without a
// coordinator. INVALID_ARGUMENT: with the lines of the study or its base_file.
absl::StatusOr<config::JobFile> StudyJobFile(const StudyFile& study,
                                             const StudyVariant& variant,
                                             int64_t seed);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_STUDY_FILE_H_
