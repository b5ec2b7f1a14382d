#include "worker/daemon/reconcile.h"

#include <map>

namespace lory::daemon {
namespace {

using ::lory::v1::Assignment;

Assignment OrderFor(const TrainerView& trainer, const Assignment& wanted) {
  Assignment order = wanted;
  if (wanted.phase() == Assignment::RUN &&
      wanted.generation() > trainer.prepared_generation) {
    order.set_phase(Assignment::STANDBY);
  }
  return order;
}

}  // namespace

std::vector<Action> Reconcile(const lory::v1::DesiredState& desired,
                              const std::vector<TrainerView>& trainers,
                              int32_t slot_count) {
  std::map<int32_t, const Assignment*> wanted;
  for (const Assignment& assignment : desired.assignments()) {
    if (assignment.slot() >= 0 && assignment.slot() < slot_count) {
      wanted.emplace(assignment.slot(), &assignment);
    }
  }
  std::map<int32_t, Action> actions;
  for (const TrainerView& trainer : trainers) {
    const auto found = wanted.find(trainer.slot);
    const Assignment* assignment =
        found == wanted.end() ? nullptr : found->second;
    // Whoever is in it, the slot is taken.
    if (assignment != nullptr) wanted.erase(found);
    if (trainer.ending) continue;
    Action& action = actions[trainer.slot];
    action.slot = trainer.slot;
    action.incarnation = trainer.incarnation;
    if (assignment == nullptr || assignment->job() != trainer.job) {
      action.kind = Action::Kind::kStop;
    } else {
      action.kind = Action::Kind::kOrder;
      action.assignment = OrderFor(trainer, *assignment);
    }
  }
  for (const auto& [slot, assignment] : wanted) {
    actions[slot] = {
        .kind = Action::Kind::kStart, .slot = slot, .assignment = *assignment};
  }
  std::vector<Action> ordered;
  for (auto& [slot, action] : actions) ordered.push_back(std::move(action));
  return ordered;
}

}  // namespace lory::daemon
