#ifndef LORY_TOOLS_CORPUS_ENCODER_BERT_WEIGHTS_H_
#define LORY_TOOLS_CORPUS_ENCODER_BERT_WEIGHTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/corpus/encoder/model_folder.h"

namespace lory::corpus {

using Floats = std::vector<float>;

// y = x weight^T + bias; weight: out x in.
struct LinearWeights {
  Floats weight, bias;
};

struct NormWeights {
  Floats weight, bias;
};

struct BertLayer {
  LinearWeights query_key_value;  // one below the other
  LinearWeights attention_output;
  NormWeights attention_norm;
  LinearWeights intermediate;
  LinearWeights output;
  NormWeights output_norm;
};

struct BertWeights {
  Floats words;      // vocabulary x hidden
  Floats positions;  // positions x hidden, that of token type 0 added
  NormWeights embedding_norm;
  std::vector<BertLayer> layers;
};

inline constexpr char kWeightsFile[] = "model.safetensors";

// Reads the weights of `shape` as fp32, whatever of fp32, fp16 and bf16 they
// are in. NOT_FOUND, DATA_LOSS, INVALID_ARGUMENT (a tensor that is missing, of
// another shape or type, or that holds what is no finite number): names file
// and tensor.
absl::StatusOr<BertWeights> LoadBertWeights(const std::string& folder,
                                            const BertShape& shape);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ENCODER_BERT_WEIGHTS_H_
