#include "tools/corpus/encoder/bert_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/io/safetensors.h"
#include "tools/corpus/encoder/vector_math.h"

namespace lory::corpus {
namespace {

using io::DType;
using io::TensorInfo;
using Shape = std::vector<int64_t>;

constexpr char kWords[] = "embeddings.word_embeddings.weight";

float FromHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const int exponent = (bits >> 10) & 0x1f;
  const uint32_t fraction = bits & 0x3ff;
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -value : value;
  }
  const uint32_t wide = exponent == 31 ? 255 : exponent - 15 + 127;
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

float FromBrain(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Hands out the tensors of a file under the names that BertModel has for them.
class TensorSource {
 public:
  static absl::StatusOr<TensorSource> Open(const std::string& folder) {
    const std::string path = absl::StrCat(folder, "/", kWeightsFile);
    auto reader = io::SafetensorsReader::Open(path);
    if (absl::IsNotFound(reader.status())) {
      return absl::NotFoundError(absl::StrCat(
          path,
          ": no such file: weights in another format can be made into "
          "it with save_pretrained(folder, safe_serialization=True) of "
          "Hugging Face's transformers"));
    }
    LORY_RETURN_IF_ERROR(reader.status());
    TensorSource source(path, *std::move(reader));
    // Of a model with a head on top.
    if (source.reader_->Find(kWords) == nullptr) source.prefix_ = "bert.";
    return source;
  }

  absl::StatusOr<Floats> Take(const std::string& name, const Shape& shape) {
    const TensorInfo* info = reader_->Find(absl::StrCat(prefix_, name));
    if (info == nullptr) info = reader_->Find(absl::StrCat(prefix_, Old(name)));
    if (info == nullptr) {
      return Wrong(name,
                   "is missing: not the weights of a BERT encoder of "
                   "config.json's shape");
    }
    if (info->shape != shape) {
      return Wrong(name, absl::StrCat("has the shape ", Text(info->shape),
                                      ", config.json says ", Text(shape)));
    }
    if (info->dtype != DType::kF32 && info->dtype != DType::kF16 &&
        info->dtype != DType::kBf16) {
      return Wrong(name, absl::StrCat("is ", NameOf(info->dtype),
                                      "; must be F32, F16 or BF16"));
    }
    Floats values = Read(*info);
    const auto is_finite = [](float value) { return std::isfinite(value); };
    if (!std::all_of(values.begin(), values.end(), is_finite)) {
      return Wrong(name,
                   "has a number that is not finite: the file is "
                   "damaged, or the training that made it went wrong");
    }
    return values;
  }

  // INVALID_ARGUMENT: the file has a layer behind the `layers` of config.json.
  absl::Status CheckNoLayerBehind(int64_t layers) const {
    const std::string next =
        absl::StrCat("encoder.layer.", layers, ".attention.self.query.weight");
    if (reader_->Find(absl::StrCat(prefix_, next)) == nullptr) {
      return absl::OkStatus();
    }
    return Wrong(next, absl::StrCat("is one layer more than config.json's ",
                                    "num_hidden_layers, ", layers));
  }

  template <typename Weights>
  absl::Status TakePair(const std::string& name, const Shape& shape,
                        Weights* to) {
    LORY_ASSIGN_OR_RETURN(to->weight, Take(name + ".weight", shape));
    LORY_ASSIGN_OR_RETURN(to->bias, Take(name + ".bias", {shape[0]}));
    return absl::OkStatus();
  }

 private:
  TensorSource(std::string path, std::unique_ptr<io::SafetensorsReader> reader)
      : path_(std::move(path)), reader_(std::move(reader)) {}

  // BERT's first files have TensorFlow's names for a norm's two.
  static std::string Old(const std::string& name) {
    if (absl::EndsWith(name, "LayerNorm.weight")) {
      return name.substr(0, name.size() - 6) + "gamma";
    }
    if (absl::EndsWith(name, "LayerNorm.bias")) {
      return name.substr(0, name.size() - 4) + "beta";
    }
    return name;
  }

  static std::string Text(const Shape& shape) {
    return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
  }

  absl::Status Wrong(const std::string& name, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": ", prefix_, name, " ", what));
  }

  Floats Read(const TensorInfo& info) const {
    const absl::string_view bytes = reader_->Bytes(info);
    Floats values(info.ElementCount());
    if (info.dtype == DType::kF32) {
      std::memcpy(values.data(), bytes.data(), bytes.size());
      return values;
    }
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits = 0;
      std::memcpy(&bits, bytes.data() + 2 * i, sizeof(bits));
      values[i] = info.dtype == DType::kF16 ? FromHalf(bits) : FromBrain(bits);
    }
    return values;
  }

  std::string path_;
  std::unique_ptr<io::SafetensorsReader> reader_;
  std::string prefix_;
};

absl::Status TakeEmbeddings(TensorSource& source, const BertShape& shape,
                            BertWeights* weights) {
  LORY_ASSIGN_OR_RETURN(weights->words,
                        source.Take(kWords, {shape.vocabulary, shape.hidden}));
  LORY_ASSIGN_OR_RETURN(weights->positions,
                        source.Take("embeddings.position_embeddings.weight",
                                    {shape.positions, shape.hidden}));
  LORY_ASSIGN_OR_RETURN(const Floats types,
                        source.Take("embeddings.token_type_embeddings.weight",
                                    {shape.types, shape.hidden}));
  for (size_t at = 0; at < weights->positions.size(); at += shape.hidden) {
    AddTo(weights->positions.data() + at, types.data(), shape.hidden);
  }
  return source.TakePair("embeddings.LayerNorm", {shape.hidden},
                         &weights->embedding_norm);
}

absl::Status TakeLayer(TensorSource& source, const BertShape& shape,
                       const std::string& name, BertLayer* layer) {
  const Shape square = {shape.hidden, shape.hidden};
  for (const char* part : {"query", "key", "value"}) {
    LinearWeights one;
    LORY_RETURN_IF_ERROR(source.TakePair(
        absl::StrCat(name, "attention.self.", part), square, &one));
    auto& all = layer->query_key_value;
    all.weight.insert(all.weight.end(), one.weight.begin(), one.weight.end());
    all.bias.insert(all.bias.end(), one.bias.begin(), one.bias.end());
  }
  LORY_RETURN_IF_ERROR(source.TakePair(name + "attention.output.dense", square,
                                       &layer->attention_output));
  LORY_RETURN_IF_ERROR(source.TakePair(name + "attention.output.LayerNorm",
                                       {shape.hidden}, &layer->attention_norm));
  LORY_RETURN_IF_ERROR(source.TakePair(name + "intermediate.dense",
                                       {shape.intermediate, shape.hidden},
                                       &layer->intermediate));
  LORY_RETURN_IF_ERROR(source.TakePair(name + "output.dense",
                                       {shape.hidden, shape.intermediate},
                                       &layer->output));
  return source.TakePair(name + "output.LayerNorm", {shape.hidden},
                         &layer->output_norm);
}

}  // namespace

absl::StatusOr<BertWeights> LoadBertWeights(const std::string& folder,
                                            const BertShape& shape) {
  LORY_ASSIGN_OR_RETURN(TensorSource source, TensorSource::Open(folder));
  BertWeights weights;
  LORY_RETURN_IF_ERROR(TakeEmbeddings(source, shape, &weights));
  weights.layers.resize(shape.layers);
  for (int64_t i = 0; i < shape.layers; ++i) {
    LORY_RETURN_IF_ERROR(TakeLayer(source, shape,
                                   absl::StrCat("encoder.layer.", i, "."),
                                   &weights.layers[i]));
  }
  LORY_RETURN_IF_ERROR(source.CheckNoLayerBehind(shape.layers));
  return weights;
}

}  // namespace lory::corpus
