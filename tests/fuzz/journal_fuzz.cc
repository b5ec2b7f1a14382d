// What a journal says of a job: records in protobuf's text format, a cut
// between two. The auditor must be able to hold what should be impossible.
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "lory/internal/v1/journal.pb.h"
#include "tests/fuzz/fuzz.h"
#include "tools/verify/history_checks.h"
#include "tools/verify/job_history.h"
#include "tools/verify/sample_audit.h"

namespace lory::verify {
namespace {

using Record = internal::v1::JournalRecord;

// Says nothing of texts that are no record: most are none.
class Silent final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

std::vector<Record> RecordsIn(absl::string_view text) {
  std::vector<Record> records;
  Silent silent;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silent);
  while (!text.empty()) {
    const auto [one, rest] = fuzz::CutInTwo(text);
    Record record;
    // What was understood before an error counts.
    parser.ParseFromString(std::string(one), &record);
    records.push_back(std::move(record));
    text = rest;
  }
  return records;
}

void CheckHistory(const JobHistory& history) {
  LORY_CHECK(!history.specs.empty() && !history.states.empty());
  LORY_CHECK(history.RecoveryCount() <=
             static_cast<int64_t>(history.ends.size()));
  LORY_CHECK(history.CommittedAt().size() <= history.commits.size());
  for (const GenerationStart& start : history.starts) {
    history.FencedFrom(start.event.generation());
    LORY_CHECK(history.StartOf(start.event.generation()) != nullptr);
  }
  for (const Verdict& verdict :
       {CheckStates(history), CheckSpec(history), CheckGenerations(history)}) {
    for (const std::string& failure : verdict.failures()) {
      LORY_CHECK(!failure.empty());
    }
  }
  const auto grid = GridOf(history);
  fuzz::CheckError(grid.status(), {absl::StatusCode::kInvalidArgument});
  if (!grid.ok()) return;
  LORY_CHECK(grid->StepSequences() > 0 && grid->sequence_count > 0 &&
             grid->step_count > 0);
}

}  // namespace

LORY_FUZZ(input) {
  const auto history = CollectHistory(RecordsIn(input), "jobs/a");
  fuzz::CheckError(history.status(), {absl::StatusCode::kNotFound});
  if (history.ok()) CheckHistory(*history);
}

}  // namespace lory::verify
