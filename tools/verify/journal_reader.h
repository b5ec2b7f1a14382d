#ifndef LORY_TOOLS_VERIFY_JOURNAL_READER_H_
#define LORY_TOOLS_VERIFY_JOURNAL_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lory/internal/v1/journal.pb.h"

namespace lory::verify {

// Every record of the journal in the coordinator's folder `state_folder`, in
// order. Reads a private copy, so the original is never touched and the
// coordinator may be running.
//
// NOT_FOUND: no journal there. DATA_LOSS: a record is missing, altered or
// cannot be parsed; names it. FAILED_PRECONDITION: a newer layout.
// UNAVAILABLE: it was written to all the time.
absl::StatusOr<std::vector<lory::internal::v1::JournalRecord>> ReadJournal(
    const std::string& state_folder);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_JOURNAL_READER_H_
