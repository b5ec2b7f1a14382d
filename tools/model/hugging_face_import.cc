#include "tools/model/hugging_face_import.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/io/json_text.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"
#include "tools/model/hugging_face_config.h"
#include "tools/model/hugging_face_tensors.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::io::SafetensorsReader;
using ::lory::io::TensorInfo;
using ::lory::model::Parameter;
using ::lory::model::Transformer;

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";

// Where the tensors of a folder lie.
struct Source {
  struct Entry {
    std::string path;
    const SafetensorsReader* file = nullptr;
    const TensorInfo* info = nullptr;
  };
  std::vector<std::unique_ptr<SafetensorsReader>> files;
  std::map<std::string, Entry> tensors;

  absl::Status Add(const std::string& path) {
    LORY_ASSIGN_OR_RETURN(auto file, SafetensorsReader::Open(path));
    for (const TensorInfo& info : file->tensors()) {
      const auto [there, is_new] =
          tensors.emplace(info.name, Entry{path, file.get(), &info});
      if (!is_new) {
        return absl::InvalidArgumentError(
            absl::StrCat("tensor ", info.name, " is in ", there->second.path,
                         " and in ", path));
      }
    }
    files.push_back(std::move(file));
    return absl::OkStatus();
  }
};

absl::Status BadIndex(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::StatusOr<Source> OpenShards(const std::string& folder,
                                  const std::string& index_path) {
  LORY_ASSIGN_OR_RETURN(const std::string text,
                        lory::io::LocalStorage().Read(index_path));
  const auto parsed = lory::io::ParseJsonObject(text);
  if (!parsed.ok()) return BadIndex(index_path, parsed.status().message());
  const nlohmann::ordered_json& json = *parsed;
  if (!json.contains("weight_map") || !json["weight_map"].is_object()) {
    return BadIndex(index_path, "weight_map is missing or no object");
  }
  std::map<std::string, std::vector<std::string>> names_by_file;
  for (const auto& [name, file] : json["weight_map"].items()) {
    if (!file.is_string() ||
        fs::path(file.get<std::string>()).filename() !=
            file.get<std::string>() ||
        absl::StartsWith(file.get<std::string>(), ".")) {
      return BadIndex(index_path,
                      absl::StrCat(name, " is in ", file.dump(),
                                   ", which is not the name of a file here"));
    }
    names_by_file[file.get<std::string>()].push_back(name);
  }
  Source source;
  for (const auto& [file, names] : names_by_file) {
    const std::string path = absl::StrCat(folder, "/", file);
    LORY_RETURN_IF_ERROR(source.Add(path));
    for (const std::string& name : names) {
      const auto found = source.tensors.find(name);
      if (found == source.tensors.end() || found->second.path != path) {
        return BadIndex(index_path,
                        absl::StrCat(path, " has no tensor ", name));
      }
    }
  }
  return source;
}

absl::StatusOr<Source> OpenWeights(const std::string& folder) {
  std::error_code error;
  const std::string single = absl::StrCat(folder, "/", kSingleFile);
  const std::string index = absl::StrCat(folder, "/", kIndexFile);
  if (fs::exists(single, error)) {
    Source source;
    LORY_RETURN_IF_ERROR(source.Add(single));
    return source;
  }
  if (fs::exists(index, error)) return OpenShards(folder, index);
  return absl::NotFoundError(absl::StrCat(
      folder, " has neither ", kSingleFile, " nor ", kIndexFile,
      "; other formats are not read: save the model again with transformers' "
      "save_pretrained"));
}

std::optional<at::ScalarType> FloatTypeOf(lory::io::DType dtype) {
  switch (dtype) {
    case lory::io::DType::kF64:
      return at::kDouble;
    case lory::io::DType::kF32:
      return at::kFloat;
    case lory::io::DType::kF16:
      return at::kHalf;
    case lory::io::DType::kBf16:
      return at::kBFloat16;
    default:
      return std::nullopt;
  }
}

absl::Status CopyTensor(const Source::Entry& source, const at::Tensor& target) {
  const TensorInfo& info = *source.info;
  const std::optional<at::ScalarType> type = FloatTypeOf(info.dtype);
  if (!type) {
    return absl::FailedPreconditionError(absl::StrCat(
        source.path, ": tensor ", info.name, " is ",
        lory::io::NameOf(info.dtype), "; F32, F16, BF16 and F64 are read"));
  }
  if (target.sizes() != at::IntArrayRef(info.shape)) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.path, ": tensor ", info.name, " is [",
                     absl::StrJoin(info.shape, ", "), "], ", kConfigFile,
                     " asks for [", absl::StrJoin(target.sizes(), ", "), "]"));
  }
  // Foreign files need not align their tensors.
  const at::Tensor numbers = at::empty(info.shape, *type);
  const absl::string_view bytes = source.file->Bytes(info);
  std::memcpy(numbers.mutable_data_ptr(), bytes.data(), bytes.size());
  target.copy_(numbers);
  const int64_t lost = at::isfinite(numbers).sum().item<int64_t>() -
                       at::isfinite(target).sum().item<int64_t>();
  if (lost == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(source.path, ": tensor ", info.name, " has ", lost,
                   " numbers that are too large for F32"));
}

absl::Status FillModel(const std::string& folder, bool has_tied_head,
                       Source& source, Transformer& model) {
  at::NoGradGuard no_grad;
  const std::string head(lory::config::kHeadName);
  // As transformers has it: a head that is in the file is the head.
  has_tied_head = has_tied_head && !source.tensors.contains(head);
  for (const Parameter& parameter : model.parameters().parameters()) {
    if (has_tied_head && parameter.name == head) {
      parameter.value.copy_(
          model.parameters().Get(lory::config::kEmbeddingName));
      continue;
    }
    for (const auto& [name, value] : HuggingFaceTensors(parameter)) {
      const auto found = source.tensors.find(name);
      if (found == source.tensors.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(folder, ": no file has tensor ", name));
      }
      LORY_RETURN_IF_ERROR(CopyTensor(found->second, value));
      source.tensors.erase(found);
    }
  }
  for (const auto& [name, entry] : source.tensors) {
    // A table that older versions saved; it follows from config.json.
    if (absl::EndsWith(name, ".rotary_emb.inv_freq")) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        entry.path, ": tensor ", name, " has no place in a ",
        HuggingFaceArchitecture(model.shape()), " without biases"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transformer>> ImportHuggingFace(
    const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(
      const std::string text,
      lory::io::LocalStorage().Read(absl::StrCat(folder, "/", kConfigFile)));
  auto config = ParseHuggingFaceConfig(text);
  if (!config.ok()) return Annotate(config.status(), folder);
  LORY_ASSIGN_OR_RETURN(Source source, OpenWeights(folder));
  return lory::train::GuardTorch(
      "importing", [&]() -> absl::StatusOr<std::unique_ptr<Transformer>> {
        LORY_ASSIGN_OR_RETURN(std::unique_ptr<Transformer> model,
                              Transformer::CreateUninitialised(
                                  config->spec, /*dense_phase=*/false));
        LORY_RETURN_IF_ERROR(
            FillModel(folder, config->has_tied_head, source, *model));
        return model;
      });
}

}  // namespace lory::surgery
