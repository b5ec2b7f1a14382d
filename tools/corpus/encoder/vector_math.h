#ifndef LORY_TOOLS_CORPUS_ENCODER_VECTOR_MATH_H_
#define LORY_TOOLS_CORPUS_ENCODER_VECTOR_MATH_H_

#include <cstdint>

#include "tools/corpus/encoder/model_folder.h"

// The parts of an encoder that are no matrix product, four numbers at a time
// on any processor. Pure; what becomes of a number does not depend on the
// length of the row that it is in, but for sums over the row.
namespace lory::corpus {

// Each of `values` by the activation: within 5e-7 of the exact function,
// relative or absolute.
void Activate(Activation activation, float* values, int64_t count);

// exp(v - max) / sum, in place.
void Softmax(float* values, int64_t count);

// values = (values - mean) / sqrt(variance + epsilon) * weight + bias.
void LayerNorm(const float* weight, const float* bias, double epsilon,
               float* values, int64_t count);

// values += other.
void AddTo(float* values, const float* other, int64_t count);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ENCODER_VECTOR_MATH_H_
