#include "tools/corpus/encoder/bert_encoder.h"

#include <algorithm>
#include <cmath>

#include "common/base/check.h"
#include "tools/corpus/encoder/matrix_product.h"
#include "tools/corpus/encoder/vector_math.h"

namespace lory::corpus {

struct BertEncoder::Rows {
  Rows(int64_t row_count, const BertShape& shape)
      : count(row_count),
        hidden(count * shape.hidden),
        query_key_value(hidden.size() * 3),
        context(hidden.size()),
        change(hidden.size()),
        intermediate(count * shape.intermediate),
        scores(count * count) {}

  const int64_t count;
  Floats hidden;
  Floats query_key_value;
  Floats context;
  Floats change;  // what is added to `hidden`
  Floats intermediate;
  Floats scores;  // of one head
};

void BertEncoder::Embed(std::span<const int32_t> tokens, Rows& rows) const {
  const int64_t width = shape_.hidden;
  for (size_t i = 0; i < tokens.size(); ++i) {
    float* row = rows.hidden.data() + i * width;
    const float* word = weights_.words.data() + tokens[i] * width;
    std::copy(word, word + width, row);
    AddTo(row, weights_.positions.data() + i * width, width);
    LayerNorm(weights_.embedding_norm.weight.data(),
              weights_.embedding_norm.bias.data(), shape_.epsilon, row, width);
  }
}

void BertEncoder::Attend(Rows& rows) const {
  const int64_t width = shape_.hidden;
  const int64_t head = width / shape_.heads;
  const int64_t count = rows.count;
  const float scale = static_cast<float>(1 / std::sqrt(head));
  for (int64_t at = 0; at < width; at += head) {
    const float* query = rows.query_key_value.data() + at;
    MultiplyTransposed(count, count, head, scale, {query, 3 * width},
                       {query + width, 3 * width}, rows.scores.data(), count);
    for (int64_t i = 0; i < count; ++i) {
      Softmax(rows.scores.data() + i * count, count);
    }
    Multiply(count, head, count, {rows.scores.data(), count},
             {query + 2 * width, 3 * width}, rows.context.data() + at, width);
  }
}

void BertEncoder::AddAndNormalize(const NormWeights& norm, Rows& rows) const {
  const int64_t width = shape_.hidden;
  for (int64_t i = 0; i < rows.count; ++i) {
    float* row = rows.hidden.data() + i * width;
    AddTo(row, rows.change.data() + i * width, width);
    LayerNorm(norm.weight.data(), norm.bias.data(), shape_.epsilon, row, width);
  }
}

void BertEncoder::ApplyLayer(const BertLayer& layer, Rows& rows) const {
  const int64_t width = shape_.hidden;
  const auto apply = [&](const LinearWeights& linear, const Floats& from,
                         int64_t in, int64_t out, Floats* to) {
    ApplyLinear(rows.count, in, out, linear.weight.data(), linear.bias.data(),
                from.data(), to->data());
  };
  apply(layer.query_key_value, rows.hidden, width, 3 * width,
        &rows.query_key_value);
  Attend(rows);
  apply(layer.attention_output, rows.context, width, width, &rows.change);
  AddAndNormalize(layer.attention_norm, rows);
  apply(layer.intermediate, rows.hidden, width, shape_.intermediate,
        &rows.intermediate);
  Activate(shape_.activation, rows.intermediate.data(),
           rows.count * shape_.intermediate);
  apply(layer.output, rows.intermediate, shape_.intermediate, width,
        &rows.change);
  AddAndNormalize(layer.output_norm, rows);
}

void BertEncoder::Encode(std::span<const int32_t> tokens, Pooling pooling,
                         float* vector) const {
  const int64_t count = static_cast<int64_t>(tokens.size());
  LORY_CHECK(count > 0 && count <= shape_.positions);
  Rows rows(count, shape_);
  Embed(tokens, rows);
  for (const BertLayer& layer : weights_.layers) ApplyLayer(layer, rows);
  const int64_t begin =
      pooling == Pooling::kMeanWithoutCls && count > 1 ? 1 : 0;
  const int64_t end = pooling == Pooling::kCls ? 1 : count;
  for (int64_t j = 0; j < shape_.hidden; ++j) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      sum += rows.hidden[i * shape_.hidden + j];
    }
    vector[j] = static_cast<float>(sum / static_cast<double>(end - begin));
  }
}

}  // namespace lory::corpus
