#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_ENCODER_MADE_UP_BERT_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_ENCODER_MADE_UP_BERT_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "nlohmann/json.hpp"
#include "tests/support/temporary_folder.h"
#include "tools/corpus/encoder/bert_weights.h"

namespace lory::corpus {

// A BERT encoder of random weights, in Hugging Face's layout.
struct MadeUpBert {
  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };

  explicit MadeUpBert(const BertShape& wanted = SmallShape(),
                      const std::string& activation = "gelu")
      : shape(wanted) {
    config = {{"model_type", "bert"},
              {"hidden_act", activation},
              {"hidden_size", shape.hidden},
              {"num_hidden_layers", shape.layers},
              {"num_attention_heads", shape.heads},
              {"intermediate_size", shape.intermediate},
              {"vocab_size", shape.vocabulary},
              {"max_position_embeddings", shape.positions},
              {"type_vocab_size", shape.types},
              {"layer_norm_eps", shape.epsilon}};
    const int64_t width = shape.hidden;
    Add("embeddings.word_embeddings.weight", {shape.vocabulary, width});
    Add("embeddings.position_embeddings.weight", {shape.positions, width});
    Add("embeddings.token_type_embeddings.weight", {shape.types, width});
    AddPair("embeddings.LayerNorm", {width});
    for (int64_t i = 0; i < shape.layers; ++i) {
      const std::string layer = absl::StrCat("encoder.layer.", i, ".");
      for (const char* part :
           {"self.query", "self.key", "self.value", "output.dense"}) {
        AddPair(absl::StrCat(layer, "attention.", part), {width, width});
      }
      AddPair(layer + "attention.output.LayerNorm", {width});
      AddPair(layer + "intermediate.dense", {shape.intermediate, width});
      AddPair(layer + "output.dense", {width, shape.intermediate});
      AddPair(layer + "output.LayerNorm", {width});
    }
  }

  static BertShape SmallShape() {
    return {.hidden = 12,
            .layers = 2,
            .heads = 3,
            .intermediate = 20,
            .vocabulary = 40,
            .positions = 24};
  }

  // Writes it, and words for it: the five marks, then "w5", "w6" and so on.
  std::string Write(const testing::TemporaryFolder& folder,
                    const std::string& name = "model",
                    io::DType dtype = io::DType::kF32) const {
    folder.Write(name + "/config.json", config.dump());
    std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (int64_t i = 5; i < shape.vocabulary; ++i) {
      absl::StrAppend(&words, "w", i, "\n");
    }
    folder.Write(name + "/vocab.txt", words);
    std::vector<io::TensorToWrite> to_write;
    std::vector<std::vector<uint16_t>> halves;
    halves.reserve(tensors.size());
    for (const auto& [tensor, content] : tensors) {
      const void* data = content.values.data();
      if (dtype == io::DType::kBf16) {  // cut off, not rounded
        halves.push_back(Upper(content.values));
        data = halves.back().data();
      }
      to_write.push_back(
          {{.name = tensor, .dtype = dtype, .shape = content.shape}, data});
    }
    LORY_CHECK(io::WriteSafetensors(io::LocalStorage(),
                                    folder.At(name + "/model.safetensors"),
                                    to_write, {})
                   .ok());
    return folder.At(name);
  }

  static std::vector<uint16_t> Upper(const std::vector<float>& values) {
    std::vector<uint16_t> upper;
    for (const float value : values) {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      upper.push_back(static_cast<uint16_t>(bits >> 16));
    }
    return upper;
  }

  void Rename(const std::string& from, const std::string& to) {
    auto node = tensors.extract(from);
    LORY_CHECK(!node.empty());
    node.key() = to;
    tensors.insert(std::move(node));
  }

  BertShape shape;
  nlohmann::json config;
  std::map<std::string, Tensor> tensors;

 private:
  void Add(const std::string& name, std::vector<int64_t> size) {
    Tensor& tensor = tensors[name];
    tensor.shape = std::move(size);
    int64_t count = 1;
    for (const int64_t side : tensor.shape) count *= side;
    for (int64_t i = 0; i < count; ++i) {
      tensor.values.push_back(static_cast<float>(random_.NextDouble() - 0.5));
    }
  }
  void AddPair(const std::string& name, const std::vector<int64_t>& size) {
    Add(name + ".weight", size);
    Add(name + ".bias", {size[0]});
  }

  Random random_{7};
};

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_ENCODER_MADE_UP_BERT_H_
