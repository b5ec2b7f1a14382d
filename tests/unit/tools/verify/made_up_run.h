#ifndef LORY_TESTS_UNIT_TOOLS_VERIFY_MADE_UP_RUN_H_
#define LORY_TESTS_UNIT_TOOLS_VERIFY_MADE_UP_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lory/internal/v1/journal.pb.h"
#include "tools/verify/job_history.h"
#include "tools/verify/sample_audit.h"
#include "tools/verify/trace_reader.h"

// A run that never took place, faultless until a test breaks it: jobs/tiny, 6
// steps of 4 micro-batches of 2 sequences, 10 sequences in the dataset. Workers
// a and b train steps 0 to 2 as generation 1; b is lost, having applied step 3
// alone; generation 2 is a and c, from step 3 to the end.
namespace lory::verify {

class MadeUpRun {
 public:
  static constexpr int64_t kSteps = 6;
  static constexpr int64_t kTakeover = 3;  // first step of generation 2

  MadeUpRun();

  std::vector<lory::internal::v1::JournalRecord> records;
  Trace trace;

  JobHistory History() const;
  SampleGrid Grid() const;
  // The fault-free chain after `steps` steps.
  std::string Chain(int64_t steps) const;

  // What a faultless rank writes for a step of a world of two.
  TraceLine Line(const std::string& file, int64_t generation,
                 int64_t step) const;

  // Applies `change` to every line of `step` in generation 2.
  template <typename Change>
  void ChangeLines(int64_t step, Change change) {
    for (TraceLine& line : trace.lines) {
      if (line.step == step && line.generation == 2) change(line);
    }
  }

  // Record builders; each appends.
  void AddState(lory::v1::Job::State state);
  void AddOpened(int64_t generation);
  lory::internal::v1::GenerationStarted* AddStarted(int64_t generation,
                                                    int64_t start_step,
                                                    int source_rank);
  void AddEnded(int64_t generation, bool by_fault);
  lory::v1::Checkpoint* AddCommit(int64_t step, int64_t generation);

 private:
  void AddJob();
};

// The trace line as a trainer writes it, with a newline.
std::string ToJsonLine(const TraceLine& line);

// Whether a verdict of this text failed; a missing one counts as failed.
bool Failed(const std::vector<Verdict>& verdicts, const std::string& part);

}  // namespace lory::verify

#endif  // LORY_TESTS_UNIT_TOOLS_VERIFY_MADE_UP_RUN_H_
