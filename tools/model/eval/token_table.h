#ifndef LORY_TOOLS_MODEL_EVAL_TOKEN_TABLE_H_
#define LORY_TOOLS_MODEL_EVAL_TOKEN_TABLE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/config/model_shape.h"

namespace lory::eval {

// What an expert takes of one token of the vocabulary.
struct TokenShare {
  int64_t token = 0;
  int64_t count = 0;  // of the token in the text
  double share = 0;   // of its occurrences' weight that the expert was given
  double lift = 0;    // that share over the expert's share of the whole text
};

// Which words go to which expert, of a model that routes single tokens.
// Thread-compatible.
class TokenTable {
 public:
  explicit TokenTable(const lory::config::ModelShape& shape);

  // What Transformer::TokenLosses said of tokens_BL; R = B * L.
  void Record(const std::vector<at::Tensor>& routing_RE,
              const at::Tensor& tokens_BL);

  // The tokens that mark an expert: at most `count` of those it takes more of
  // than of the text as a whole, by weight * log(lift), the part they have in
  // what its choice says about the token. So neither the commonest words of all
  // experts come first nor those seen once.
  std::vector<TokenShare> Top(int64_t layer, int64_t expert,
                              int64_t count) const;

 private:
  at::Tensor count_V_;
  std::vector<at::Tensor> weight_EV_;  // of each layer
};

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_TOKEN_TABLE_H_
