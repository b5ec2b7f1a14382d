#ifndef LORY_TOOLS_VERIFY_CHECKPOINT_FILES_H_
#define LORY_TOOLS_VERIFY_CHECKPOINT_FILES_H_

#include <string>

#include "lory/v1/checkpoint.pb.h"
#include "lory/v1/job.pb.h"
#include "tools/verify/report.h"

// A checkpoint's files against what was promised of them. Reads every byte.
namespace lory::verify {

// Every part is there with its size and SHA-256, and the parts are numbered
// 0 to n - 1.
void CheckParts(const lory::v1::Checkpoint& checkpoint,
                const std::string& folder, Verdict& verdict);

// manifest.json has the hash that the journal knows, and says the same of
// step, generation, digest and parts.
void CheckManifest(const lory::v1::Checkpoint& checkpoint,
                   const std::string& folder, Verdict& verdict);

// A job of `spec` can go on from it: every part opens and belongs to this
// step and generation, and together they hold every parameter with its two
// moments, once, in the right shape.
void CheckLoads(const lory::v1::Checkpoint& checkpoint,
                const lory::v1::JobSpec& spec, const std::string& folder,
                Verdict& verdict);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_CHECKPOINT_FILES_H_
