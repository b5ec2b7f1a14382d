#ifndef LORY_WORKER_TRAIN_EXPERT_USE_H_
#define LORY_WORKER_TRAIN_EXPERT_USE_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "worker/model/routing_stats.h"

namespace lory::train {

// Which experts training has lately made use of: those that some decision of
// the last steps gave more than 2 / E (figure 9 of the paper).
//
// The window is the last ten steps, as in the paper, or as many as it takes for
// 40,000 decisions a layer, about what the paper's ten steps have: in ten small
// steps an expert that is made use of can be missing by chance.
// Thread-compatible.
class ExpertUse {
 public:
  // The routing of the next step, of all ranks; that of a dense phase is empty.
  // Routing of another size begins anew.
  void Add(const lory::model::RoutingStats& step);

  // Share of the experts of `layer`, of those of the last step added.
  double ActiveShare(int64_t layer) const;

  static constexpr int64_t kSteps = 10;
  static constexpr double kDecisions = 40'000;

 private:
  int64_t step_ = 0;  // steps added
  int64_t layer_count_ = 0;
  int64_t expert_count_ = 0;
  double decision_count_ = 0;         // of steps_, in the first layer
  std::deque<double> steps_;          // decisions of each; newest last
  std::vector<int64_t> last_active_;  // [layer x E], values of step_; 0: never
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_EXPERT_USE_H_
