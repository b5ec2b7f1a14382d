#include "tools/corpus/encoder/model_folder.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/json_text.h"
#include "common/io/storage.h"

namespace lory::corpus {
namespace {

using nlohmann::json;

constexpr char kConfigFile[] = "config.json";
constexpr size_t kShown = 80;  // bytes of JSON in a message

absl::Status Unfit(const std::string& folder, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(folder, "/", kConfigFile, ": ", what));
}

struct Size {
  const char* name;
  int64_t* target;
  int64_t most;
};

absl::Status ReadSizes(const std::string& folder, const json& config,
                       const std::vector<Size>& sizes) {
  for (const Size& size : sizes) {
    const json value = config.value(size.name, json(*size.target));
    if (value == 0 && !config.contains(size.name)) {
      return Unfit(folder, absl::StrCat(size.name, " is missing"));
    }
    if (!value.is_number_integer() || value.get<int64_t>() < 1 ||
        value.get<int64_t>() > size.most) {
      return Unfit(folder, absl::StrCat(size.name, " is ", ShortJson(value),
                                        "; must be from 1 to ", size.most));
    }
    *size.target = value.get<int64_t>();
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view NameOf(Pooling pooling) {
  switch (pooling) {
    case Pooling::kMean:
      return "mean";
    case Pooling::kMeanWithoutCls:
      return "mean_without_cls";
    case Pooling::kCls:
      return "cls";
  }
  return "";
}

std::string ShortJson(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return text;
}

absl::StatusOr<json> ReadJson(const std::string& folder, absl::string_view file,
                              bool is_list) {
  const std::string path = absl::StrCat(folder, "/", file);
  LORY_ASSIGN_OR_RETURN(const std::string text, io::LocalStorage().Read(path));
  // What is nested deeper is left out: nothing here is, and dump() calls
  // itself.
  const auto is_shallow = [](int depth, json::parse_event_t, json&) {
    return depth <= io::kMostJsonDepth;
  };
  json root = json::parse(text, is_shallow, /*allow_exceptions=*/false);
  if (is_list ? !root.is_array() : !root.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no JSON ",
                                                   is_list ? "array" : "object",
                                                   ": copy the file again"));
  }
  return root;
}

absl::StatusOr<BertShape> ReadBertShape(const std::string& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::NotFoundError(
        absl::StrCat(folder,
                     ": no such folder: embed.model must be that of a "
                     "BERT encoder, with config.json"));
  }
  LORY_ASSIGN_OR_RETURN(const json config, ReadJson(folder, kConfigFile));
  const json type = config.value("model_type", json());
  if (type != "bert") {
    return Unfit(folder, absl::StrCat("model_type is ", ShortJson(type),
                                      "; only bert can be run"));
  }
  const json positions =
      config.value("position_embedding_type", json("absolute"));
  if (!positions.is_null() && positions != "absolute") {
    return Unfit(folder,
                 absl::StrCat("position_embedding_type is ",
                              ShortJson(positions), "; must be absolute"));
  }
  if (config.value("is_decoder", json(false)) == true) {
    return Unfit(folder, "is_decoder is true; an encoder is needed");
  }
  BertShape shape;
  LORY_RETURN_IF_ERROR(
      ReadSizes(folder, config,
                {{"hidden_size", &shape.hidden, 1 << 14},
                 {"num_hidden_layers", &shape.layers, 1 << 10},
                 {"num_attention_heads", &shape.heads, 1 << 10},
                 {"intermediate_size", &shape.intermediate, 1 << 17},
                 {"vocab_size", &shape.vocabulary, 1 << 24},
                 {"max_position_embeddings", &shape.positions, 1 << 17},
                 {"type_vocab_size", &shape.types, 1 << 10}}));
  if (shape.hidden % shape.heads != 0) {
    return Unfit(folder,
                 absl::StrCat("hidden_size ", shape.hidden,
                              " cannot be divided among num_attention_heads ",
                              shape.heads));
  }
  const json epsilon = config.value("layer_norm_eps", json(shape.epsilon));
  if (!epsilon.is_number() || !(epsilon.get<double>() >= 0) ||
      epsilon.get<double>() > 1) {
    return Unfit(folder, absl::StrCat("layer_norm_eps is ", ShortJson(epsilon),
                                      "; must be from 0 to 1"));
  }
  shape.epsilon = epsilon.get<double>();
  const json activation = config.value("hidden_act", json("gelu"));
  if (activation == "relu") {
    shape.activation = Activation::kRelu;
  } else if (activation == "gelu_new" || activation == "gelu_pytorch_tanh") {
    shape.activation = Activation::kGeluTanh;
  } else if (activation != "gelu") {
    return Unfit(folder, absl::StrCat("hidden_act is ", ShortJson(activation),
                                      "; must be gelu, gelu_new, "
                                      "gelu_pytorch_tanh or relu"));
  }
  return shape;
}

}  // namespace lory::corpus
