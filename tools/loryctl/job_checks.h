#ifndef LORY_TOOLS_LORYCTL_JOB_CHECKS_H_
#define LORY_TOOLS_LORYCTL_JOB_CHECKS_H_

#include <vector>

#include "absl/status/status.h"
#include "common/base/error_detail.h"
#include "common/config/job_file.h"
#include "lory/v1/job.pb.h"
#include "tools/loryctl/session.h"

// What is done with a job file before its job is submitted.
namespace lory::ctl {

// Whether the coordinator fills in the model: that of what the job begins from.
bool TakesModelOfCheckpoint(const lory::v1::JobSpec& spec);

// `spec` with stand-ins for what only the dataset knows, so that everything
// else can be checked without a coordinator.
lory::v1::JobSpec WithStandIns(lory::v1::JobSpec spec);

// What is wrong with the values of a file's spec; a config::SpecCheck.
std::vector<FieldViolation> FindFileViolations(const lory::v1::JobSpec& spec);

// Whether a job can be made of `file`, as far as this side knows.
// INVALID_ARGUMENT: with a line for each field.
absl::Status CheckJobFile(const config::JobFile& file);

// Fills in what a model must share with its dataset and the file left out, by
// asking the coordinator. NOT_FOUND: the dataset is not registered.
absl::Status FillFromDataset(Session& session, config::JobFile& file);

// `status`, of a job that was refused, with a hint where its model and its
// dataset disagree and the dataset's value would mend it.
absl::Status HintAtDataset(const absl::Status& status,
                           const lory::v1::JobSpec& spec);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_JOB_CHECKS_H_
