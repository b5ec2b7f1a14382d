// Export and import of Hugging Face folders, without transformers; with it:
// tests/interop.

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_model.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/model/models.h"
#include "tools/model/hugging_face_config.h"
#include "tools/model/hugging_face_export.h"
#include "tools/model/hugging_face_import.h"
#include "tools/model/logits.h"
#include "tools/model/routing_choice.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::model::DenseSpec;
using ::lory::model::LorySpec;
using ::lory::model::MakeModel;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A folder as somebody else may have written it.
class Foreign {
 public:
  explicit Foreign(const std::string& name = "hf") : path(folder_.At(name)) {
    auto model = MakeModel(DenseSpec());
    LORY_CHECK(ExportHuggingFace(*model, {.folder = path}).ok());
    for (const auto& parameter : model->parameters().parameters()) {
      tensors.emplace_back(parameter.name, parameter.value.detach().clone());
    }
  }

  void SetConfig(const char* key, const nlohmann::json& value) const {
    auto json = nlohmann::json::parse(Read(path + "/config.json"));
    json[key] = value;
    std::ofstream(path + "/config.json") << json;
  }

  void Save(const char* file, const lory::model::NamedTensors& which) const {
    std::vector<lory::io::TensorToWrite> all;
    for (const auto& [name, tensor] : which) {
      const auto dtype =
          tensor.scalar_type() == at::kFloat      ? lory::io::DType::kF32
          : tensor.scalar_type() == at::kBFloat16 ? lory::io::DType::kBf16
                                                  : lory::io::DType::kI64;
      all.push_back({.info = {.name = name,
                              .dtype = dtype,
                              .shape = tensor.sizes().vec()},
                     .data = tensor.const_data_ptr()});
    }
    EXPECT_OK(lory::io::WriteSafetensors(lory::io::LocalStorage(),
                                         absl::StrCat(path, "/", file), all,
                                         {{"format", "pt"}}));
  }

  at::Tensor& Named(absl::string_view name) {
    for (auto& [known, tensor] : tensors) {
      if (known == name) return tensor;
    }
    LORY_CHECK(false);
  }

 private:
  const TemporaryFolder folder_;

 public:
  const std::string path;
  lory::model::NamedTensors tensors;
};

TEST(Exchange, ExportThenImportIsBitEqual) {
  const TemporaryFolder folder;
  const auto model = MakeModel(DenseSpec());
  ASSERT_OK(ExportHuggingFace(*model, {.folder = folder.At("hf")}));
  LORY_ASSERT_OK_AND_ASSIGN(const auto again,
                            ImportHuggingFace(folder.At("hf")));
  EXPECT_TRUE(SameWeights(*again, *model));
  EXPECT_EQ(again->shape().norm_epsilon, model->shape().norm_epsilon);
  EXPECT_EQ(again->shape().rotary_base, model->shape().rotary_base);
}

TEST(Exchange, ANumberTooLargeForTheFormatIsRefused) {
  const TemporaryFolder folder;
  const auto model = MakeModel(DenseSpec());
  const auto set = [&](double value) {
    at::NoGradGuard no_grad;
    model->parameters().flat_values().narrow(0, 3, 1).fill_(value);
  };
  const ExportOptions fp16 = {.folder = folder.At("hf"),
                              .dtype = lory::io::DType::kF16};
  set(-70000);
  EXPECT_THAT(
      ExportHuggingFace(*model, fp16),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--dtype bf16")));
  EXPECT_FALSE(fs::exists(folder.At("hf")));
  EXPECT_OK(ExportHuggingFace(
      *model, {.folder = folder.At("bf16"), .dtype = lory::io::DType::kBf16}));
  // What the model has is written as it is.
  set(INFINITY);
  EXPECT_OK(ExportHuggingFace(*model, fp16));
}

TEST(Exchange, NumbersThatTheFormatMakesZeroAreCounted) {
  const TemporaryFolder folder;
  const auto model = MakeModel(DenseSpec());
  const auto exported = [&](lory::io::DType dtype) {
    const auto result = ExportHuggingFace(*model, {.folder = folder.At("hf"),
                                                   .force = true,
                                                   .origin = "jobs/a",
                                                   .dtype = dtype});
    EXPECT_OK(result);
    return result->underflow_count;
  };
  {
    at::NoGradGuard no_grad;
    at::Tensor numbers = model->parameters().flat_values();
    numbers.fill_(0.5);
    numbers.narrow(0, 0, 2).fill_(0);     // zero before
    numbers.narrow(0, 2, 3).fill_(1e-9);  // below half of fp16's least
    numbers.narrow(0, 5, 1).fill_(6e-8);  // fp16's least
  }
  EXPECT_EQ(exported(lory::io::DType::kF16), 3);
  EXPECT_EQ(exported(lory::io::DType::kBf16), 0);
  EXPECT_EQ(exported(lory::io::DType::kF32), 0);
}

TEST(Exchange, AnExportIsAllThatTransformersNeeds) {
  const TemporaryFolder folder;
  ASSERT_OK(ExportHuggingFace(*MakeModel(DenseSpec()),
                              {.folder = folder.At("hf"), .origin = "jobs/a"}));
  const auto config = nlohmann::json::parse(Read(folder.At("hf/config.json")));
  EXPECT_EQ(config["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(config["lory_origin"], "jobs/a");
  EXPECT_TRUE(fs::exists(folder.At("hf/generation_config.json")));
  EXPECT_FALSE(fs::exists(folder.At("hf/tokenizer.json")));
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto file,
      lory::io::SafetensorsReader::Open(folder.At("hf/model.safetensors")));
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(file->tensors().size(), 1 + 2 * 9 + 2);
}

TEST(Exchange, ALoryModelIsExportedMergedAndNotWithoutAChoice) {
  using Kind = RoutingChoice::Kind;
  EXPECT_THAT(
      AsRouted(MakeModel(LorySpec()), {}, nullptr),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("--prompt"), HasSubstr("--routing uniform"))));
  EXPECT_THAT(
      AsRouted(MakeModel(LorySpec()), {Kind::kPrompt, "text"}, nullptr),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--tokenizer")));
  EXPECT_THAT(
      AsRouted(MakeModel(DenseSpec()), {Kind::kUniform, ""}, nullptr),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is dense")));
  const auto lory = MakeModel(LorySpec());
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto dense,
      AsRouted(MakeModel(LorySpec()), {Kind::kUniform, ""}, nullptr));
  const std::string layer = "model.layers.1.mlp.";
  EXPECT_TRUE(dense->parameters()
                  .Get(layer + "up_proj.weight")
                  .allclose(lory->parameters()
                                .Get(layer + "experts.up_proj.weight")
                                .mean(0)));
  const TemporaryFolder folder;
  EXPECT_THAT(ExportHuggingFace(*lory, {.folder = folder.At("hf")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("dense")));
  EXPECT_FALSE(fs::exists(folder.At("hf")));
}

lory::v1::ModelSpec TokenChoiceSpec() {
  lory::v1::ModelSpec spec = DenseSpec();
  spec.mutable_feed_forward()->mutable_token_choice()->set_expert_count(4);
  return spec;
}

TEST(Exchange, TokenChoiceIsExportedAsMixtral) {
  const auto model = MakeModel(TokenChoiceSpec());
  const TemporaryFolder folder;
  ASSERT_OK(ExportHuggingFace(*model, {.folder = folder.At("hf")}));
  const auto config = nlohmann::json::parse(Read(folder.At("hf/config.json")));
  EXPECT_EQ(config["architectures"][0], "MixtralForCausalLM");
  EXPECT_EQ(config["model_type"], "mixtral");
  EXPECT_EQ(config["num_local_experts"], 4);
  EXPECT_EQ(config["num_experts_per_tok"], 2);
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto file,
      lory::io::SafetensorsReader::Open(folder.At("hf/model.safetensors")));
  // Of a layer: two norms, four matrices of attention, router, 4 experts of 3.
  EXPECT_EQ(file->tensors().size(), 1 + 2 * (2 + 4 + 1 + 12) + 2);
  const std::string layer = "model.layers.1.block_sparse_moe.";
  for (const auto& [theirs, ours] :
       {std::pair("w1", "gate_proj"), std::pair("w3", "up_proj"),
        std::pair("w2", "down_proj")}) {
    const auto* found =
        file->Find(absl::StrCat(layer, "experts.3.", theirs, ".weight"));
    ASSERT_NE(found, nullptr) << theirs;
    EXPECT_EQ(found->shape, model->parameters()
                                .Get(absl::StrCat("model.layers.1.mlp.experts.",
                                                  ours, ".weight"))[3]
                                .sizes()
                                .vec());
  }
  EXPECT_NE(file->Find(layer + "gate.weight"), nullptr);
}

TEST(Exchange, AMixtralComesBackBitEqual) {
  const auto model = MakeModel(TokenChoiceSpec());
  const TemporaryFolder folder;
  ASSERT_OK(ExportHuggingFace(*model, {.folder = folder.At("hf")}));
  LORY_ASSERT_OK_AND_ASSIGN(const auto again,
                            ImportHuggingFace(folder.At("hf")));
  EXPECT_TRUE(SameWeights(*again, *model));
  EXPECT_EQ(again->shape().feed_forward, model->shape().feed_forward);
  EXPECT_EQ(again->shape().active_expert_count,
            model->shape().active_expert_count);
  EXPECT_FALSE(again->is_dense_phase());
}

TEST(Exchange, AMixtralsTensorsAreEachAskedForByName) {
  const TemporaryFolder folder;
  ASSERT_OK(ExportHuggingFace(*MakeModel(TokenChoiceSpec()),
                              {.folder = folder.At("hf")}));
  const std::string path = folder.At("hf/config.json");
  const auto import_with = [&](const char* key, int value) {
    const std::string before = Read(path);
    auto json = nlohmann::json::parse(before);
    json[key] = value;
    std::ofstream(path) << json;
    const absl::Status status = ImportHuggingFace(folder.At("hf")).status();
    std::ofstream(path) << before;
    return status;
  };
  EXPECT_THAT(import_with("num_local_experts", 5),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no file has tensor model.layers.0.block_"
                                 "sparse_moe.experts.4.w1.weight")));
  EXPECT_THAT(import_with("num_local_experts", 3),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("gate.weight is [4, 16]")));
  EXPECT_THAT(import_with("intermediate_size", 25),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("experts.0.w1.weight is [24, 16]")));
}

TEST(Exchange, WhatHuggingFaceHasNoModelForIsRefused) {
  const TemporaryFolder folder;
  const auto expect_refused = [&](const lory::v1::ModelSpec& spec,
                                  const char* why) {
    EXPECT_THAT(
        ExportHuggingFace(*MakeModel(spec), {.folder = folder.At("hf")}),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  lory::v1::ModelSpec spec = TokenChoiceSpec();
  spec.mutable_feed_forward()->mutable_token_choice()->set_weights(
      lory::v1::TokenChoiceFeedForward::PROBABILITY);
  expect_refused(spec, "weights: renormalised");
  spec.mutable_feed_forward()->mutable_expert_choice()->set_expert_count(4);
  expect_refused(spec, "expert_choice");
  auto& smear = *spec.mutable_feed_forward()->mutable_smear();
  smear.set_expert_count(4);
  smear.set_pool_length(4);
  expect_refused(spec, "smear");
  EXPECT_FALSE(fs::exists(folder.At("hf")));
  EXPECT_THAT(
      AsRouted(MakeModel(spec), {RoutingChoice::Kind::kUniform, ""}, nullptr),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("leave out --prompt")));
}

TEST(Exchange, ATiedHeadIsTheEmbedding) {
  Foreign foreign;
  foreign.SetConfig("tie_word_embeddings", true);
  foreign.tensors.pop_back();  // lm_head.weight
  foreign.Save("model.safetensors", foreign.tensors);
  LORY_ASSERT_OK_AND_ASSIGN(const auto model, ImportHuggingFace(foreign.path));
  EXPECT_TRUE(model->parameters()
                  .Get("lm_head.weight")
                  .equal(foreign.Named("model.embed_tokens.weight")));
}

TEST(Exchange, ShardsAreReadByTheirIndex) {
  Foreign foreign;
  const lory::model::NamedTensors first(foreign.tensors.begin(),
                                        foreign.tensors.begin() + 7);
  const lory::model::NamedTensors second(foreign.tensors.begin() + 7,
                                         foreign.tensors.end());
  fs::remove(foreign.path + "/model.safetensors");
  foreign.Save("model-1.safetensors", first);
  foreign.Save("model-2.safetensors", second);
  const auto write_index = [&](const std::string& file_of_the_second) {
    nlohmann::json map;
    for (const auto& [name, tensor] : first) map[name] = "model-1.safetensors";
    for (const auto& [name, tensor] : second) map[name] = file_of_the_second;
    std::ofstream(foreign.path + "/model.safetensors.index.json")
        << nlohmann::json{{"weight_map", map}};
  };
  write_index("model-2.safetensors");
  LORY_ASSERT_OK_AND_ASSIGN(const auto model, ImportHuggingFace(foreign.path));
  EXPECT_TRUE(SameWeights(*model, *MakeModel(DenseSpec())));
  write_index("model-1.safetensors");
  EXPECT_THAT(
      ImportHuggingFace(foreign.path),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has no tensor")));
  write_index("../model-2.safetensors");
  EXPECT_THAT(ImportHuggingFace(foreign.path),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("not the name of a file")));
}

TEST(Exchange, HalfPrecisionIsWidenedExactly) {
  Foreign foreign;
  at::Tensor& embedding = foreign.Named("model.embed_tokens.weight");
  embedding = embedding.to(at::kBFloat16);
  foreign.Save("model.safetensors", foreign.tensors);
  LORY_ASSERT_OK_AND_ASSIGN(const auto model, ImportHuggingFace(foreign.path));
  EXPECT_TRUE(model->parameters()
                  .Get("model.embed_tokens.weight")
                  .equal(embedding.to(at::kFloat)));
}

TEST(Exchange, TensorsThatDoNotFitAreRefusedByName) {
  const auto import_of = [](const lory::model::NamedTensors& tensors) {
    const Foreign foreign;
    foreign.Save("model.safetensors", tensors);
    return ImportHuggingFace(foreign.path).status();
  };
  const auto says = [](absl::string_view what) {
    return AllOf(::testing::Not(::lory::testing::IsOk()),
                 ::testing::ResultOf(
                     [](const absl::Status& status) {
                       return std::string(status.message());
                     },
                     HasSubstr(std::string(what))));
  };
  Foreign foreign;
  auto tensors = foreign.tensors;
  tensors.emplace_back("model.layers.0.self_attn.q_proj.bias", at::zeros({16}));
  EXPECT_THAT(import_of(tensors), says("q_proj.bias has no place"));
  tensors.back() = {"model.layers.0.self_attn.rotary_emb.inv_freq",
                    at::zeros({2})};
  EXPECT_OK(import_of(tensors));
  tensors.pop_back();
  tensors.pop_back();
  EXPECT_THAT(import_of(tensors), says("no file has tensor lm_head.weight"));
  tensors.emplace_back("lm_head.weight", at::zeros({19, 15}));
  EXPECT_THAT(import_of(tensors), says("lm_head.weight is [19, 15]"));
  tensors.back().second = at::zeros({19, 16}, at::kLong);
  EXPECT_THAT(import_of(tensors), says("lm_head.weight is I64"));
}

TEST(Exchange, AFolderThatIsNoModelIsRefused) {
  const Foreign foreign;
  fs::remove(foreign.path + "/model.safetensors");
  std::ofstream(foreign.path + "/pytorch_model.bin") << "pickle";
  EXPECT_THAT(ImportHuggingFace(foreign.path),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("safetensors")));
  EXPECT_THAT(ImportHuggingFace(foreign.path + "/nothing"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
  std::ofstream(foreign.path + "/model.safetensors") << "not a tensor";
  EXPECT_THAT(
      ImportHuggingFace(foreign.path),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("model.safetensors")));
}

// A tokenizer of the 256 bytes and an end of document.
std::string WriteTokenizer(const TemporaryFolder& folder) {
  lory::text::BytePairModel model;
  for (const uint8_t byte : lory::text::ByteAlphabet()) {
    model.tokens.emplace_back(1, static_cast<char>(byte));
  }
  model.tokens.emplace_back();
  model.end_of_document_id = 256;
  folder.Write("data/tokenizer.json", SerializeBytePairModel(model));
  return folder.At("data");
}

TEST(Exchange, TheTokenizerGoesWithTheModelItFits) {
  const TemporaryFolder folder;
  const std::string path = WriteTokenizer(folder);
  EXPECT_THAT(OpenTokenizer(path, {.vocabulary_size = 19}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("257"), HasSubstr("19"))));
  auto spec = LorySpec();
  spec.set_vocabulary_size(257);
  LORY_ASSERT_OK_AND_ASSIGN(const TokenizerFile file,
                            OpenTokenizer(path, {.vocabulary_size = 257}));
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto dense,
      AsRouted(MakeModel(spec), {RoutingChoice::Kind::kPrompt, "a prompt"},
               &file));
  ASSERT_OK(ExportHuggingFace(*dense,
                              {.folder = folder.At("hf"), .tokenizer = &file}));
  EXPECT_EQ(Read(folder.At("hf/tokenizer.json")), file.bytes);
  const auto config =
      nlohmann::json::parse(Read(folder.At("hf/tokenizer_config.json")));
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
  EXPECT_EQ(
      nlohmann::json::parse(Read(folder.At("hf/config.json")))["eos_token_id"],
      256);
}

TEST(Logits, AreOfTheModelsContextAndVocabulary) {
  const auto model = MakeModel(DenseSpec());
  const auto refused =
      StatusIs(absl::StatusCode::kInvalidArgument, ::testing::_);
  EXPECT_THAT(ComputeLogits(*model, {}), refused);
  EXPECT_THAT(ComputeLogits(*model, std::vector<int64_t>(13, 1)), refused);
  EXPECT_THAT(ComputeLogits(*model, {1, 19}), refused);
  LORY_ASSERT_OK_AND_ASSIGN(const at::Tensor logits,
                            ComputeLogits(*model, {1, 2, 3}));
  EXPECT_EQ(logits.sizes(), at::IntArrayRef({3, 19}));
  const std::string text = TopTokens(logits, 1, nullptr);
  EXPECT_THAT(text,
              HasSubstr(absl::StrCat(logits[2].argmax().item<int64_t>(), " ")));
}

}  // namespace
}  // namespace lory::surgery
