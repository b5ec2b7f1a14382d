#ifndef LORY_WORKER_TRAIN_EVALUATOR_H_
#define LORY_WORKER_TRAIN_EVALUATOR_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
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

// Measures a model on a dataset's held-out text, and on some of what it is
// trained on. The same sequences every time, shared out over the ranks; the
// result is the same on all of them. Thread-compatible.
class Evaluator {
 public:
  struct Options {
    // At most so many sequences of each held-out set. 0: all.
    int64_t sequences_per_domain = 0;
    // Sequences of the training text.
    int64_t train_sequences = 0;
    // Positions that the figures `later_` leave out. 0: there are none.
    int64_t first_positions = 0;
    // Sequences that go through the model at a time.
    int64_t rows = 1;
  };
  // What `spec` asks for; its model must be valid.
  static Options OptionsOf(const lory::v1::JobSpec& spec);

  // `dataset` must outlive the evaluator.
  Evaluator(const lory::data::Dataset& dataset, const Options& options);

  // Whether there is any held-out text.
  bool has_text() const { return has_text_; }

  // Loss and routing of `model` by domain; all ranks must call it. Leaves
  // `step` to the caller. `go_on` is asked after every batch; ABORTED: it said
  // no. Other errors as Communicator's and Dataset's reads, and
  // RESOURCE_EXHAUSTED: no memory.
  absl::StatusOr<lory::v1::Evaluation> Evaluate(
      const lory::model::Transformer& model,
      lory::collective::Communicator& communicator, Clock& clock,
      const std::function<bool()>& go_on);

 private:
  // Sequences that are measured together.
  struct TextSet {
    std::string domain;
    int held_out = -1;  // among the dataset's held-out sets; -1: training text
    bool kept_out = false;
    int64_t sequence_count = 0;  // that are used
    // How often each token is predicted; counted when first needed.
    std::vector<int64_t> token_counts;
  };
  // Sums over some sequences.
  struct Sums {
    double loss = 0;
    double tokens = 0;
    double later_loss = 0;
    double later_tokens = 0;
    lory::model::RoutingStats routing;
  };

  absl::Status Read(const TextSet& text, int64_t index,
                    std::span<int64_t> tokens) const;
  // This rank's share of a set.
  absl::StatusOr<Sums> Measure(const TextSet& text,
                               const lory::model::Transformer& model,
                               lory::collective::Communicator& communicator,
                               const std::function<bool()>& go_on) const;
  // Adds a batch of sequences, each with one token more than the model sees.
  absl::Status AddBatch(const lory::model::Transformer& model,
                        const std::vector<int64_t>& sequences,
                        Sums& sums) const;
  absl::StatusOr<std::vector<int64_t>> CountTokens(const TextSet& text) const;

  const lory::data::Dataset& dataset_;
  const Options options_;
  bool has_text_ = false;
  std::vector<TextSet> sets_;
};

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_EVALUATOR_H_
