#include "common/text/tokenizer_file.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/same_tokenizer.h"

namespace lory::text {
namespace {

using nlohmann::ordered_json;

constexpr char kRemedy[] =
    "give the tokenizer.json of the dataset it was trained on, or the folder "
    "of that dataset";

// Text of the special token `id`; empty: it has none.
std::string SpecialToken(const std::string& json, int64_t id) {
  const auto root = ordered_json::parse(json, nullptr, false);
  const auto added = root.find("added_tokens");
  if (added == root.end() || !added->is_array()) return "";
  for (const ordered_json& token : *added) {
    if (token.is_object() && token.value("id", int64_t{-1}) == id) {
      return token.value("content", "");
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<TokenizerFile> OpenTokenizer(const std::string& path,
                                            const WantedTokenizer& wanted) {
  std::error_code error;
  const std::string file = std::filesystem::is_directory(path, error)
                               ? absl::StrCat(path, "/", kTokenizerFile)
                               : path;
  TokenizerFile opened;
  LORY_ASSIGN_OR_RETURN(opened.json, lory::io::LocalStorage().Read(file));
  LORY_ASSIGN_OR_RETURN(opened.tokenizer, LoadTokenizer(file));
  if (opened.tokenizer->vocabulary_size() != wanted.vocabulary_size) {
    return absl::FailedPreconditionError(absl::StrCat(
        file, ": a vocabulary of ", opened.tokenizer->vocabulary_size(),
        ", the model's is ", wanted.vocabulary_size, "; ", kRemedy));
  }
  LORY_RETURN_IF_ERROR(CheckSameTokenizer({file, Sha256Hex(opened.json)},
                                          {wanted.of, wanted.sha256}, kRemedy));
  const int32_t end = opened.tokenizer->end_of_document_id();
  if (end >= 0) opened.end_of_document = SpecialToken(opened.json, end);
  return opened;
}

absl::StatusOr<std::string> TokenizerSha256(const std::string& folder) {
  const std::string file = absl::StrCat(folder, "/", kTokenizerFile);
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return "";
  return lory::io::FileSha256Hex(file);
}

}  // namespace lory::text
