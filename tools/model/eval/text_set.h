#ifndef LORY_TOOLS_MODEL_EVAL_TEXT_SET_H_
#define LORY_TOOLS_MODEL_EVAL_TEXT_SET_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/data/dataset.h"

// Text to be predicted, cut into windows that a model reads one by one.
namespace lory::eval {

struct Window {
  std::vector<int64_t> tokens;
  // What comes after each; -1 where an earlier window counted it.
  std::vector<int64_t> targets;
};

// One domain of held-out text, or one file. Windows are of `window` tokens but
// for the last, which may be shorter; each begins `stride` tokens after the one
// before, and every token is counted once, in the first window that has it.
struct TextSet {
  std::string name;
  bool is_file = false;   // not of the dataset
  bool kept_out = false;  // a domain that was not trained at all
  int64_t window = 0;
  int64_t stride = 0;
  int64_t window_count = 0;
  std::function<absl::Status(int64_t index, Window& window)> read;
};

// The held-out sets of `dataset`, which must outlive them, in its order; of
// each at most `limit` sequences (0: all). Empty ones are left out.
std::vector<TextSet> HeldOutSets(const lory::data::Dataset& dataset,
                                 int64_t limit);

// A text: `tokens` of which the first is given and the others are predicted.
// 1 <= stride <= window; at least two tokens. The last window begins where the
// stride says and ends with the text. At most `limit` windows (0: all).
TextSet SlidingWindows(std::string name, std::vector<int64_t> tokens,
                       int64_t window, int64_t stride, int64_t limit);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_TEXT_SET_H_
