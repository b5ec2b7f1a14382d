#ifndef LORY_COORDINATOR_ENGINE_JOURNAL_H_
#define LORY_COORDINATOR_ENGINE_JOURNAL_H_

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "lory/internal/v1/journal.pb.h"

namespace lory::coordinator {

// The coordinator's memory across crashes: records in order, never changed.
// Thread-compatible; the coordinator's lock serialises calls.
class Journal {
 public:
  using Record = lory::internal::v1::JournalRecord;
  // Gets each record with its number, from 1.
  using Visitor = std::function<absl::Status(int64_t, const Record&)>;

  virtual ~Journal() = default;

  // Adds `records`, all or none; on disk when it returns OK. Blocks for the
  // disk.
  //
  // RESOURCE_EXHAUSTED: disk full; nothing was added, a later call may
  // succeed. Any other error is final: what is on disk is not known any more,
  // every later call fails alike, and the process must start again.
  virtual absl::Status Append(std::span<const Record> records) = 0;

  // Passes every record to `visit`, oldest first; stops at its first error.
  //
  // DATA_LOSS: a record is missing or altered; the message names it.
  virtual absl::Status Replay(const Visitor& visit) = 0;

  // Whether a final error has happened.
  virtual bool failed() const = 0;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_JOURNAL_H_
