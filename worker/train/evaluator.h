#ifndef LORY_WORKER_TRAIN_EVALUATOR_H_
#define LORY_WORKER_TRAIN_EVALUATOR_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/data/dataset.h"
#include "lory/v1/job.pb.h"
#include "worker/collective/communicator.h"
#include "worker/model/routing_stats.h"
#include "worker/model/transformer.h"

namespace lory::train {

// How the routers spread their weight, as a message; empty for a dense model.
std::vector<lory::v1::LayerRouting> DescribeRouting(
    const lory::model::RoutingStats& routing);

// Measures a model on a dataset's held-out text. The same sequences every
// time, shared out over the ranks; the result is the same on all of them.
// Thread-compatible.
class Evaluator {
 public:
  // `dataset` must outlive the evaluator. `rows` sequences go through the model
  // at a time.
  Evaluator(const lory::data::Dataset& dataset,
            const lory::v1::EvaluationSpec& spec, int64_t rows);

  // Whether there is any held-out text.
  bool has_text() const { return !domains_.empty(); }

  // Loss and routing of `model` by domain; all ranks must call it. Leaves
  // `step` to the caller. `go_on` is asked after every batch; ABORTED: it said
  // no. Other errors as Communicator's and Dataset::ReadHeldOut's, and
  // RESOURCE_EXHAUSTED: no memory.
  absl::StatusOr<lory::v1::Evaluation> Evaluate(
      const lory::model::Transformer& model,
      lory::collective::Communicator& communicator, Clock& clock,
      const std::function<bool()>& go_on);

 private:
  struct Domain {
    int index = 0;               // among the dataset's held-out sets
    int64_t sequence_count = 0;  // that are used
    // How often each token is predicted; counted when first needed.
    std::vector<int64_t> token_counts;
  };
  // Sums over some sequences of a domain.
  struct Sums {
    double loss = 0;
    double tokens = 0;
    lory::model::RoutingStats routing;
  };

  // This rank's share of a domain.
  absl::StatusOr<Sums> Measure(const Domain& domain,
                               const lory::model::Transformer& model,
                               lory::collective::Communicator& communicator,
                               const std::function<bool()>& go_on) const;
  absl::StatusOr<std::vector<int64_t>> CountTokens(const Domain& domain) const;

  const lory::data::Dataset& dataset_;
  const int64_t rows_;
  std::vector<Domain> domains_;
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_EVALUATOR_H_
