#ifndef LORY_COORDINATOR_ENGINE_RECORD_LOG_H_
#define LORY_COORDINATOR_ENGINE_RECORD_LOG_H_

#include "lory/internal/v1/journal.pb.h"

namespace lory::coordinator {

// One line a decision, with the reason it was taken for.
void LogRecord(const lory::internal::v1::JournalRecord& record);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_RECORD_LOG_H_
