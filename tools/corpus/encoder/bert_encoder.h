#ifndef LORY_TOOLS_CORPUS_ENCODER_BERT_ENCODER_H_
#define LORY_TOOLS_CORPUS_ENCODER_BERT_ENCODER_H_

#include <cstdint>
#include <span>
#include <utility>

#include "tools/corpus/encoder/bert_weights.h"
#include "tools/corpus/encoder/model_folder.h"

namespace lory::corpus {

// The forward pass of BERT (Devlin and others, 2019) in fp32, without dropout
// and without the pooler: what transformers' BertModel calls
// last_hidden_state, made one vector a text.
//
// One text at a time, because what OpenBLAS makes of a row depends on those
// beside it: a vector has the same bits whatever else is encoded, and nothing
// is padded. Immutable; thread-safe, each call on the thread that makes it
// (hold a OneThreadAProduct).
class BertEncoder {
 public:
  BertEncoder(const BertShape& shape, BertWeights weights)
      : shape_(shape), weights_(std::move(weights)) {}

  // Writes shape().hidden numbers to `vector`. The text has one token at least
  // and shape().positions at most, each below shape().vocabulary. Memory: about
  // 4 x (6 hidden + intermediate + tokens) bytes a token.
  void Encode(std::span<const int32_t> tokens, Pooling pooling,
              float* vector) const;

  const BertShape& shape() const { return shape_; }

 private:
  // Numbers of a call, a row a token.
  struct Rows;

  void Embed(std::span<const int32_t> tokens, Rows& rows) const;
  void Attend(Rows& rows) const;
  void ApplyLayer(const BertLayer& layer, Rows& rows) const;
  void AddAndNormalize(const NormWeights& norm, Rows& rows) const;

  const BertShape shape_;
  const BertWeights weights_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ENCODER_BERT_ENCODER_H_
