#include "coordinator/engine/record_log.h"

#include "common/base/log.h"

namespace lory::coordinator {

using ::lory::internal::v1::JournalRecord;

namespace {

// Checkpoints, workers and datasets.
void LogResource(const JournalRecord& record) {
  switch (record.event_case()) {
    case JournalRecord::kCheckpointCommitted: {
      const auto& checkpoint = record.checkpoint_committed().checkpoint();
      Log(LogLevel::kInfo, "checkpoint committed",
          {{"checkpoint", checkpoint.name()},
           {"generation", checkpoint.generation()},
           {"bytes", checkpoint.size_bytes()}});
      break;
    }
    case JournalRecord::kCheckpointStateChanged: {
      const auto& event = record.checkpoint_state_changed();
      Log(LogLevel::kInfo, "checkpoint state",
          {{"checkpoint", event.name()},
           {"state", lory::v1::Checkpoint::State_Name(event.state())},
           {"reason", event.reason()}});
      break;
    }
    case JournalRecord::kWorkerDrainChanged: {
      const auto& event = record.worker_drain_changed();
      Log(LogLevel::kInfo, event.drain() ? "worker drains" : "worker undrained",
          {{"worker", event.worker()}});
      break;
    }
    case JournalRecord::kDatasetCreated:
      Log(LogLevel::kInfo, "dataset registered",
          {{"dataset", record.dataset_created().dataset().name()}});
      break;
    default:
      break;  // shown elsewhere: spec changes, evaluations, answered calls
  }
}

}  // namespace

void LogRecord(const JournalRecord& record) {
  switch (record.event_case()) {
    case JournalRecord::kJobCreated:
      Log(LogLevel::kInfo, "job created",
          {{"job", record.job_created().job().name()}});
      break;
    case JournalRecord::kJobStateChanged: {
      const auto& event = record.job_state_changed();
      Log(LogLevel::kInfo, "job state",
          {{"job", event.job()},
           {"state", lory::v1::Job::State_Name(event.state())},
           {"reason", event.reason()}});
      break;
    }
    case JournalRecord::kJobDeleted:
      Log(LogLevel::kInfo, "job deleted",
          {{"job", record.job_deleted().job()}});
      break;
    case JournalRecord::kGenerationOpened: {
      const auto& event = record.generation_opened();
      Log(LogLevel::kInfo, "generation opened",
          {{"job", event.job()},
           {"generation", event.generation()},
           {"world", event.members_size()},
           {"reason", event.reason()}});
      break;
    }
    case JournalRecord::kGenerationStarted: {
      const auto& event = record.generation_started();
      Log(LogLevel::kInfo, "generation started",
          {{"job", event.job()},
           {"generation", event.generation()},
           {"start_step", event.start_step()},
           {"source_rank", event.source_rank()},
           {"checkpoint", event.restored_checkpoint_step()}});
      break;
    }
    case JournalRecord::kGenerationEnded: {
      const auto& event = record.generation_ended();
      Log(event.by_fault() ? LogLevel::kWarning : LogLevel::kInfo,
          "generation ended",
          {{"job", event.job()},
           {"generation", event.generation()},
           {"reason", event.reason()}});
      break;
    }
    default:
      LogResource(record);
  }
}

}  // namespace lory::coordinator
