#ifndef LORY_COORDINATOR_PLAN_MEMBER_HEALTH_H_
#define LORY_COORDINATOR_PLAN_MEMBER_HEALTH_H_

#include <string>
#include <vector>

#include "coordinator/plan/plan_options.h"

// Who is there and who is lost: the rule of two signs.
namespace lory::coordinator {

struct MemberHealth {
  enum class Kind {
    kAlive,
    kSuspected,  // one sign against it
    kUnknown,    // has not reported since the coordinator's restart
    kLost,       // two signs, or its own daemon's word
  };
  Kind kind = Kind::kAlive;
  std::string reason;  // names the member; empty while alive
  const lory::v1::TrainerStatus* status = nullptr;  // null: none
  // What became of it, when it is lost.
  lory::internal::v1::GenerationEnded::Cause cause =
      lory::internal::v1::GenerationEnded::CAUSE_UNSPECIFIED;
};

// Of the member with `rank` in the job's newest generation.
MemberHealth HealthOf(const View& view, const JobState& job, int rank);

// Of all its members, by rank.
std::vector<MemberHealth> HealthOfAll(const View& view, const JobState& job);

// The worker attends: its stream is open and its lease has not run out.
bool Attends(const View& view, const std::string& worker);

// Its stream is broken, but within its lease it may come back.
bool IsAway(const View& view, const std::string& worker);

// The worker's stream is broken (or it has none) and its lease is out. Within
// one lease of the coordinator's start nobody is lost.
bool WorkerLost(const View& view, const std::string& worker);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_PLAN_MEMBER_HEALTH_H_
