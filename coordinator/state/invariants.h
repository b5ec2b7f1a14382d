#ifndef LORY_COORDINATOR_STATE_INVARIANTS_H_
#define LORY_COORDINATOR_STATE_INVARIANTS_H_

#include <string>

#include "coordinator/state/coordinator_state.h"
#include "coordinator/state/sessions.h"

// What must hold always, and between two states; called all over the tests.
// Each answers with the first violation, empty when there is none.
namespace lory::coordinator {

std::string FindViolation(const CoordinatorState& state);

// Between what is promised and what is known.
std::string FindViolation(const CoordinatorState& state,
                          const Sessions& sessions);

// `after` came from `before` by applying records.
std::string FindViolationBetween(const CoordinatorState& before,
                                 const CoordinatorState& after);

// All of a state as text: equal texts, equal states.
std::string Describe(const CoordinatorState& state);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_STATE_INVARIANTS_H_
