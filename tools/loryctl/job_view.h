#ifndef LORY_TOOLS_LORYCTL_JOB_VIEW_H_
#define LORY_TOOLS_LORYCTL_JOB_VIEW_H_

#include <string>

#include "lory/v1/job.pb.h"
#include "tools/loryctl/environment.h"
#include "tools/loryctl/table.h"

// How jobs look on a terminal.
namespace lory::ctl {

bool IsFinal(lory::v1::Job::State state);

// Whether it takes steps; an evaluation takes none.
bool TakesSteps(const lory::v1::Job& job);

// What its steps make small, which is called loss everywhere else: "loss", or
// "entropy" of an adaptation, which knows no targets.
const char* LossName(const lory::v1::Job& job);

// "120/400"; "-" of a job that takes none.
std::string StepText(const lory::v1::Job& job);

// "120/400  30 %  loss 4.512  12,345 tokens/s  2m10s left": what moves.
std::string ProgressLine(const lory::v1::Job& job);

// "1.85 M active of 3.5 M parameters; 4 layers of 4 experts, ...".
std::string ModelText(const lory::v1::ModelSpec& spec);

// "3,476,608 (0.003 B), of them active 1,852,544 (0.002 B)".
std::string ParameterText(const lory::v1::ModelSpec& spec);

// All about one job: where it stands, its members, perplexity by domain and
// how its experts are used.
void PrintJob(const lory::v1::Job& job, Environment& environment);

// The last two alone, where there are any.
void PrintEvaluation(const lory::v1::Job& job, Environment& environment);
void PrintRouting(const lory::v1::JobProgress& progress,
                  Environment& environment);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_JOB_VIEW_H_
