#ifndef LORY_TOOLS_MODEL_SCALE_SEARCH_H_
#define LORY_TOOLS_MODEL_SCALE_SEARCH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/model/task_arithmetic.h"
#include "worker/model/transformer.h"

// The scale of task vectors, chosen on held-out text.
namespace lory::surgery {

struct ScaleSearch {
  std::vector<double> scales;    // to try, as ParseScales gives them
  std::string data;              // a dataset
  std::string tokenizer_sha256;  // the models'; empty: not known
  // Of its held-out text; empty: all but those kept out of training.
  std::vector<std::string> domains;
  int64_t sequences = 0;  // of each domain at most; 0: all
  // Without: the scale of the lowest loss. With: the largest whose loss is at
  // most so many nats above that of the base, which is how much harm forgetting
  // something else may do.
  std::optional<double> tolerance;
};

struct ScaleChoice {
  struct Trial {
    double scale = 0;
    double loss = 0;  // nats a token; not finite: the model broke
  };
  // Positions, from a sequence's first, that see each other and are not in the
  // losses; 0: there are none, or nothing else.
  int64_t left_out = 0;
  bool is_causal = true;  // else no loss is the likelihood of the text
  double base_loss = 0;
  std::vector<Trial> trials;
  double scale = 0;  // the one chosen
  bool has_tolerance = false;
};

// "0:1:0.25" as 0, 0.25, 0.5, 0.75, 1. INVALID_ARGUMENT: it is not
// LOW:HIGH:STEP of finite numbers with LOW < HIGH and STEP above 0, or more
// than 1000 scales.
absl::StatusOr<std::vector<double>> ParseScales(const std::string& text);

// Measures base + scale * `sum` at each scale. INVALID_ARGUMENT: a domain that
// the data does not have. FAILED_PRECONDITION: no scale is within the
// tolerance, or every one breaks the model. Others: as OpenHeldOut and
// MeasureText.
absl::StatusOr<ScaleChoice> SearchScale(const lory::model::Transformer& base,
                                        const TaskArithmetic& sum,
                                        const ScaleSearch& search,
                                        Progress& progress);

// What the losses are of, where they are of less than all; then a line a trial,
// the chosen one marked, and what is odd about the choice: no better than the
// base, or at an end of the range.
std::string ToText(const ScaleChoice& choice);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_SCALE_SEARCH_H_
