#include "coordinator/engine/memory_journal.h"

#include "common/base/status_macros.h"

namespace lory::coordinator {

absl::Status MemoryJournal::Append(std::span<const Record> records) {
  if (failed_) return absl::InternalError("the journal failed before");
  if (!next_error_.ok()) {
    failed_ = !absl::IsResourceExhausted(next_error_);
    return std::exchange(next_error_, absl::OkStatus());
  }
  records_.insert(records_.end(), records.begin(), records.end());
  return absl::OkStatus();
}

absl::Status MemoryJournal::Replay(const Visitor& visit) {
  int64_t number = 0;
  for (const Record& record : records_) {
    LORY_RETURN_IF_ERROR(visit(++number, record));
  }
  return absl::OkStatus();
}

}  // namespace lory::coordinator
