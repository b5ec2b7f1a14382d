#ifndef LORY_TOOLS_VERIFY_HISTORY_CHECKS_H_
#define LORY_TOOLS_VERIFY_HISTORY_CHECKS_H_

#include "tools/verify/job_history.h"
#include "tools/verify/report.h"

// What the journal alone can show. Pure.
namespace lory::verify {

// Every change of state is one that docs/jobs.md allows.
Verdict CheckStates(const JobHistory& history);

// Dataset, model, optimizer, batch, seed and steps are those of the creation.
Verdict CheckSpec(const JobHistory& history);

// Numbers grow by one; what starts was opened, what ends lives, and a start
// step comes from a living source, a committed checkpoint, or is 0.
Verdict CheckGenerations(const JobHistory& history);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_HISTORY_CHECKS_H_
