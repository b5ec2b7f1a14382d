#ifndef LORY_COORDINATOR_PLAN_ROUND_PLAN_H_
#define LORY_COORDINATOR_PLAN_ROUND_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/plan/plan_options.h"

// Which steps a generation may train, and which rank does how much of each.
namespace lory::coordinator {

struct RoundPlan {
  // The round the generation should hold; none: what it holds stays.
  std::optional<lory::v1::Round> round;
  std::string reason;
};

// The next round of the job's started generation.
RoundPlan PlanRound(const View& view, const JobState& job);

// Micro-batches of each rank, in rank order: as few as possible on the rank
// that is done last, at least one each. `seconds`: of one micro-batch on each
// rank; not above 0: unknown, taken as the mean of the others.
//
// `micro_batch_count` must not be below the number of ranks.
std::vector<int32_t> PlanShares(int32_t micro_batch_count,
                                const std::vector<double>& seconds);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_ROUND_PLAN_H_
