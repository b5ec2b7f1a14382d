#ifndef LORY_COMMON_CONFIG_JOB_FILE_H_
#define LORY_COMMON_CONFIG_JOB_FILE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/error_detail.h"
#include "common/config/origins.h"
#include "common/config/yaml_tree.h"
#include "lory/v1/job.pb.h"

// job.yaml: what `loryctl job submit` reads. docs/job-file.md describes it.
//
//   name: tiny
//   dataset: demo
//   model: {preset: tiny}
//   optimizer: {learning_rate: 1e-3}
//   steps: 400
//   micro_batches: 4
//   micro_batch_sequences: 8
namespace lory::config {

// A job.yaml as read: nothing is defaulted or range-checked yet.
struct JobFile {
  std::string name;         // wanted id; may be empty
  lory::v1::JobSpec spec;   // presets expanded
  std::string source_name;  // "job.yaml"
  Origins origins;          // of the paths "name" and "spec..."
};

// What is wrong with the values of a spec, such as FindJobViolations.
using SpecCheck =
    std::function<std::vector<FieldViolation>(const lory::v1::JobSpec&)>;

// Reads `text` and lays `overrides` ("model.width=256") over it, later ones
// over earlier ones. `file_name` is for messages.
//
// INVALID_ARGUMENT: anything wrong, all of it at once, a line each, such as
// "job.yaml:12: spec.model.witdh: unknown key; did you mean width?". Then what
// `check` finds wrong with values that could be read is told, too; of a file
// without such mistakes nothing is checked.
absl::StatusOr<JobFile> ParseJobFile(
    absl::string_view text, absl::string_view file_name,
    absl::Span<const std::string> overrides = {},
    const SpecCheck& check = nullptr);

// One place that says something about a job, and what it says.
struct JobLayer {
  Source source;
  YamlNode root;  // a map with the keys of a job.yaml
  // A feed-forward that stands so many maps down, or deeper, takes the place
  // of the one before whole; -1: its options are laid over.
  int replaces_below = -1;
};

// `value` beneath the dotted `path` ("model.width"), written in `line`.
// INVALID_ARGUMENT: a key of the path is empty.
absl::StatusOr<JobLayer> LayerAt(absl::string_view path, int line,
                                 const Source& source, YamlNode value);

// As ParseJobFile of what was parsed already: each layer is laid over those
// before it; the first is the file that missing values belong into.
absl::StatusOr<JobFile> ReadJobLayers(std::vector<JobLayer> layers,
                                      const SpecCheck& check = nullptr);

// `status` with the file's line before each field that it complains about,
// for errors found after reading, by us or by the coordinator. Statuses
// without fields are passed through.
absl::Status LocateErrors(const absl::Status& status, const JobFile& file);

// The job.yaml that ParseJobFile would read as this name and spec.
std::string JobFileText(absl::string_view name, const lory::v1::JobSpec& spec);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_JOB_FILE_H_
