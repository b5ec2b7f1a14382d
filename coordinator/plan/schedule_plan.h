#ifndef LORY_COORDINATOR_PLAN_SCHEDULE_PLAN_H_
#define LORY_COORDINATOR_PLAN_SCHEDULE_PLAN_H_

#include <map>
#include <string>
#include <vector>

#include "coordinator/plan/plan_options.h"

// Which job gets which slots.
//
// Priority first, then age. A job starts when `min_workers` slots are free at
// once (a gang), and grows to `max_workers` while nobody waits. A job that
// waits lets smaller ones pass for a while (backfill), then slots are kept for
// it. A job of higher priority takes slots of lower ones, which checkpoint,
// stop and queue again.
namespace lory::coordinator {

struct SchedulePlan : Plan {
  std::map<SlotKey, std::string> leased;  // slot -> job, new ones
  std::vector<SlotKey> released;
  std::map<std::string, std::string> evicted;  // job -> why
  // Why each job that is owed slots has none, or fewer than it may have.
  std::map<std::string, std::string> waiting;
};

SchedulePlan PlanSchedule(const View& view);

// Sentences for `loryctl job explain`, the decisive one first.
std::vector<std::string> ExplainSchedule(const View& view, const JobState& job);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_SCHEDULE_PLAN_H_
