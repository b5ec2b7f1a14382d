#include "tools/corpus/encoder/bert_encoder.h"

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/encoder/made_up_bert.h"
#include "tools/corpus/encoder/matrix_product.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;

using Tokens = std::vector<int32_t>;
using Row = std::vector<double>;

// The paper's formulas, a number at a time, from the tensors by their names.
struct PlainBert {
  const MadeUpBert& model;

  // Found by its name once, not for every number.
  const std::vector<float>& Values(const std::string& name) const {
    return model.tensors.at(name).values;
  }
  Row Linear(const std::string& name, const Row& in) const {
    const std::vector<float>& weight = Values(name + ".weight");
    const std::vector<float>& bias = Values(name + ".bias");
    Row out(bias.begin(), bias.end());
    for (size_t i = 0; i < out.size(); ++i) {
      for (size_t j = 0; j < in.size(); ++j) {
        out[i] += weight[i * in.size() + j] * in[j];
      }
    }
    return out;
  }
  Row Norm(const std::string& name, const Row& in) const {
    double mean = 0, variance = 0;
    for (const double x : in) mean += x / in.size();
    for (const double x : in) variance += (x - mean) * (x - mean) / in.size();
    const std::vector<float>& weight = Values(name + ".weight");
    const std::vector<float>& bias = Values(name + ".bias");
    Row out;
    for (size_t i = 0; i < in.size(); ++i) {
      out.push_back((in[i] - mean) / std::sqrt(variance + 1e-12) * weight[i] +
                    bias[i]);
    }
    return out;
  }
  static Row Sum(const Row& a, const Row& b) {
    Row sum;
    for (size_t i = 0; i < a.size(); ++i) sum.push_back(a[i] + b[i]);
    return sum;
  }
  double Activate(double x) const {
    const std::string name = model.config.at("hidden_act");
    if (name == "relu") return x > 0 ? x : 0;
    if (name == "gelu") return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    return 0.5 * x *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  std::vector<Row> Attention(const std::string& name,
                             const std::vector<Row>& in) const {
    std::vector<Row> query, key, value, out;
    for (const Row& row : in) {
      query.push_back(Linear(name + "query", row));
      key.push_back(Linear(name + "key", row));
      value.push_back(Linear(name + "value", row));
    }
    const int64_t head = model.shape.hidden / model.shape.heads;
    for (size_t i = 0; i < in.size(); ++i) {
      Row row(model.shape.hidden);
      for (int64_t at = 0; at < model.shape.hidden; at += head) {
        double total = 0;
        Row weights;
        for (size_t j = 0; j < in.size(); ++j) {
          double score = 0;
          for (int64_t k = at; k < at + head; ++k)
            score += query[i][k] * key[j][k];
          weights.push_back(std::exp(score / std::sqrt(head)));
          total += weights.back();
        }
        for (size_t j = 0; j < in.size(); ++j) {
          for (int64_t k = at; k < at + head; ++k) {
            row[k] += weights[j] / total * value[j][k];
          }
        }
      }
      out.push_back(row);
    }
    return out;
  }
  std::vector<Row> Hidden(const Tokens& tokens) const {
    const int64_t width = model.shape.hidden;
    const auto& words = Values("embeddings.word_embeddings.weight");
    const auto& positions = Values("embeddings.position_embeddings.weight");
    const auto& types = Values("embeddings.token_type_embeddings.weight");
    std::vector<Row> rows;
    for (size_t i = 0; i < tokens.size(); ++i) {
      Row row;
      for (int64_t j = 0; j < width; ++j) {
        row.push_back(double{words[tokens[i] * width + j]} +
                      positions[i * width + j] + types[j]);
      }
      rows.push_back(Norm("embeddings.LayerNorm", row));
    }
    for (int64_t i = 0; i < model.shape.layers; ++i) {
      const std::string layer = absl::StrCat("encoder.layer.", i, ".");
      const auto context = Attention(layer + "attention.self.", rows);
      for (size_t j = 0; j < rows.size(); ++j) {
        Row& row = rows[j];
        row = Norm(
            layer + "attention.output.LayerNorm",
            Sum(row, Linear(layer + "attention.output.dense", context[j])));
        Row inner = Linear(layer + "intermediate.dense", row);
        for (double& x : inner) x = Activate(x);
        row = Norm(layer + "output.LayerNorm",
                   Sum(row, Linear(layer + "output.dense", inner)));
      }
    }
    return rows;
  }
  Row Pooled(std::vector<Row> rows, Pooling pooling) const {
    if (pooling == Pooling::kCls) return rows[0];
    if (pooling == Pooling::kMeanWithoutCls) rows.erase(rows.begin());
    Row mean(model.shape.hidden);
    for (const Row& row : rows) mean = Sum(mean, row);
    for (double& x : mean) x /= static_cast<double>(rows.size());
    return mean;
  }
};

struct BertEncoderTest : ::testing::Test {
  BertEncoder Open(const std::string& path) {
    auto shape = ReadBertShape(path);
    LORY_CHECK(shape.ok());
    auto weights = LoadBertWeights(path, *shape);
    LORY_CHECK(weights.ok());
    return BertEncoder(*shape, *std::move(weights));
  }
  std::vector<float> Encode(const BertEncoder& encoder,
                            const std::vector<Tokens>& texts,
                            Pooling pooling = Pooling::kMean) {
    std::vector<float> vectors(texts.size() * encoder.shape().hidden);
    for (size_t i = 0; i < texts.size(); ++i) {
      encoder.Encode(texts[i], pooling,
                     vectors.data() + i * encoder.shape().hidden);
    }
    return vectors;
  }
  std::vector<Tokens> SomeTexts(const BertShape& shape, int count) {
    Random random(3);
    std::vector<Tokens> texts(count);
    for (Tokens& text : texts) {
      text.resize(1 + random.Below(shape.positions));
      for (int32_t& token : text) {
        token = static_cast<int32_t>(random.Below(shape.vocabulary));
      }
    }
    return texts;
  }

  TemporaryFolder folder;
  const OneThreadAProduct one_thread;
};

TEST_F(BertEncoderTest, EqualsThePapersFormulasForOddShapes) {
  const BertShape shapes[] = {MadeUpBert::SmallShape(),
                              {.hidden = 7,
                               .layers = 1,
                               .heads = 1,
                               .intermediate = 5,
                               .vocabulary = 11,
                               .positions = 3,
                               .types = 1},
                              {.hidden = 30,
                               .layers = 3,
                               .heads = 5,
                               .intermediate = 77,
                               .vocabulary = 64,
                               .positions = 70}};
  for (const BertShape& shape : shapes) {
    for (const char* activation : {"gelu", "gelu_new", "relu"}) {
      const MadeUpBert model(shape, activation);
      const BertEncoder encoder = Open(model.Write(folder));
      const std::vector<Tokens> texts = SomeTexts(shape, 5);
      const PlainBert plain{model};
      std::vector<std::vector<Row>> hidden;
      for (const Tokens& text : texts) hidden.push_back(plain.Hidden(text));
      for (const Pooling pooling :
           {Pooling::kMean, Pooling::kMeanWithoutCls, Pooling::kCls}) {
        const std::vector<float> found = Encode(encoder, texts, pooling);
        for (size_t i = 0; i < texts.size(); ++i) {
          if (texts[i].size() == 1 && pooling == Pooling::kMeanWithoutCls) {
            continue;  // nothing is left
          }
          const Row expected = plain.Pooled(hidden[i], pooling);
          for (size_t j = 0; j < expected.size(); ++j) {
            EXPECT_NEAR(found[i * expected.size() + j], expected[j], 2e-6)
                << activation << " " << NameOf(pooling) << " text " << i;
          }
        }
      }
    }
  }
}

TEST_F(BertEncoderTest, ManyThreadsGiveTheSameBitsAsOne) {
  const BertShape shape = {.hidden = 48,
                           .layers = 2,
                           .heads = 4,
                           .intermediate = 100,
                           .vocabulary = 50,
                           .positions = 90};
  const BertEncoder encoder = Open(MadeUpBert(shape).Write(folder));
  const std::vector<Tokens> texts = SomeTexts(shape, 60);
  const std::vector<float> expected = Encode(encoder, texts);
  std::vector<float> found[4];
  {
    std::vector<std::jthread> threads;
    for (auto& vectors : found) {
      threads.emplace_back([&] { vectors = Encode(encoder, texts); });
    }
  }
  for (const auto& vectors : found) EXPECT_TRUE(vectors == expected);
}

TEST_F(BertEncoderTest, TakesBf16WeightsAndTheNamesOfOlderFiles) {
  MadeUpBert model;
  for (auto& [name, tensor] : model.tensors) {
    for (float& value : tensor.values) {  // what bf16 can say
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      bits &= 0xffff0000;
      std::memcpy(&value, &bits, sizeof(bits));
    }
  }
  const std::vector<Tokens> texts = SomeTexts(model.shape, 3);
  const auto expected = Encode(Open(model.Write(folder)), texts);
  EXPECT_EQ(Encode(Open(model.Write(folder, "bf16", io::DType::kBf16)), texts),
            expected);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.tensors) names.push_back(name);
  for (const std::string& name : names) model.Rename(name, "bert." + name);
  model.Rename("bert.embeddings.LayerNorm.weight",
               "bert.embeddings.LayerNorm.gamma");
  model.Rename("bert.embeddings.LayerNorm.bias",
               "bert.embeddings.LayerNorm.beta");
  EXPECT_EQ(Encode(Open(model.Write(folder, "old")), texts), expected);
}

TEST_F(BertEncoderTest, HalvesAreReadToTheLastBit) {
  MadeUpBert model;
  const std::string path = model.Write(folder);
  // 1, -2, the smallest subnormal, a larger one, the largest.
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x0001,
                                        0x8200, 0x7bff, 0x0000};
  const float expected[] = {1, -2, 0x1p-24f, -0x1p-15f, 65504, 0};
  auto& norm = model.tensors.at("embeddings.LayerNorm.bias").values;
  std::vector<uint16_t> bits(norm.size());
  std::copy(halves.begin(), halves.end(), bits.begin());
  std::vector<io::TensorToWrite> tensors;
  for (const auto& [name, tensor] : model.tensors) {
    const bool is_half = name == "embeddings.LayerNorm.bias";
    tensors.push_back({{.name = name,
                        .dtype = is_half ? io::DType::kF16 : io::DType::kF32,
                        .shape = tensor.shape},
                       is_half ? static_cast<const void*>(bits.data())
                               : tensor.values.data()});
  }
  ASSERT_OK(io::WriteSafetensors(io::LocalStorage(),
                                 path + "/model.safetensors", tensors, {}));
  LORY_ASSERT_OK_AND_ASSIGN(const BertWeights weights,
                            LoadBertWeights(path, model.shape));
  for (size_t i = 0; i < halves.size(); ++i) {
    EXPECT_EQ(weights.embedding_norm.bias[i], expected[i]) << i;
  }
}

TEST_F(BertEncoderTest, WrongWeightsAreNamedWithFileAndTensor) {
  const auto load = [&](const MadeUpBert& model) {
    return LoadBertWeights(model.Write(folder), model.shape).status();
  };
  const std::string name = "encoder.layer.1.output.dense.weight";
  // A layer more than config.json has would be left out without a word.
  MadeUpBert longer;
  longer.shape.layers = 1;
  EXPECT_THAT(load(longer), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("encoder.layer.1.")));
  MadeUpBert missing;
  missing.tensors.erase(name);
  EXPECT_THAT(
      load(missing),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("model/model.safetensors: " + name + " is missing")));
  MadeUpBert turned;
  std::swap(turned.tensors.at(name).shape[0], turned.tensors.at(name).shape[1]);
  EXPECT_THAT(load(turned),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("has the shape [20, 12], config.json says "
                                 "[12, 20]")));
  MadeUpBert endless;
  endless.tensors.at(name).values[3] = INFINITY;
  EXPECT_THAT(load(endless),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(name + " has a number that is not finite")));
  const MadeUpBert model;
  const std::string path = model.Write(folder, "whole", io::DType::kI32);
  EXPECT_THAT(LoadBertWeights(path, model.shape),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("is I32; must be F32, F16 or BF16")));
  const std::string bytes =
      *io::LocalStorage().Read(path + "/model.safetensors");
  folder.Write("whole/model.safetensors", bytes.substr(0, bytes.size() - 9));
  EXPECT_THAT(LoadBertWeights(path, model.shape),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("whole/model.safetensors")));
  EXPECT_THAT(LoadBertWeights(folder.At("none"), model.shape),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("none/model.safetensors: no such file")));
}

}  // namespace
}  // namespace lory::corpus
