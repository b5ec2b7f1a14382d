#ifndef LORY_COORDINATOR_ENGINE_MEMORY_JOURNAL_H_
#define LORY_COORDINATOR_ENGINE_MEMORY_JOURNAL_H_

#include <string>
#include <utility>
#include <vector>

#include "coordinator/engine/journal.h"

namespace lory::coordinator {

// A journal that outlives the coordinator but not the process: for tests.
class MemoryJournal final : public Journal {
 public:
  absl::Status Append(std::span<const Record> records) override;
  absl::Status Replay(const Visitor& visit) override;
  bool failed() const override { return failed_; }

  const std::vector<Record>& records() const { return records_; }

  // The next Append returns `status`; a final error stays.
  void FailNextAppend(absl::Status status) { next_error_ = std::move(status); }

  // Forgets all but the first `count` records, as a crash before the append
  // of the others would.
  void Truncate(size_t count) { records_.resize(count); }

 private:
  std::vector<Record> records_;
  absl::Status next_error_;
  bool failed_ = false;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_MEMORY_JOURNAL_H_
