#include "common/text/tokenizer_file.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/same_tokenizer.h"
#include "common/text/tokenizer_json.h"

namespace lory::text {
namespace {

constexpr char kRemedy[] =
    "give the tokenizer of the dataset it was trained on, or the folder of "
    "that "
    "dataset";

}  // namespace

const char* TokenizerFileName(absl::string_view bytes) {
  return IsTokenizerJson(bytes) ? kTokenizerFile : kSentencePieceFile;
}

std::string TokenizerPath(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return path;
  const std::string json = absl::StrCat(path, "/", kTokenizerFile);
  const std::string model = absl::StrCat(path, "/", kSentencePieceFile);
  return !std::filesystem::exists(json, error) &&
                 std::filesystem::exists(model, error)
             ? model
             : json;
}

absl::StatusOr<std::string> TokenizerPathOf(const std::string& path,
                                            absl::string_view sha256) {
  const std::string json = TokenizerPath(path);
  const std::string model = absl::StrCat(path, "/", kSentencePieceFile);
  std::error_code error;
  if (json == path || sha256.empty() ||
      !std::filesystem::exists(model, error)) {
    return json;
  }
  LORY_ASSIGN_OR_RETURN(const std::string found,
                        lory::io::FileSha256Hex(model));
  return found == sha256 ? model : json;
}

absl::StatusOr<TokenizerFile> OpenTokenizer(const std::string& path,
                                            const WantedTokenizer& wanted) {
  LORY_ASSIGN_OR_RETURN(const std::string file,
                        TokenizerPathOf(path, wanted.sha256));
  TokenizerFile opened;
  LORY_ASSIGN_OR_RETURN(opened.bytes, lory::io::LocalStorage().Read(file));
  LORY_ASSIGN_OR_RETURN(opened.tokenizer, LoadTokenizer(file));
  const int64_t size = opened.tokenizer->vocabulary_size();
  // Fewer ids than the model's are those of a vocabulary that was filled up, if
  // it is the model's tokenizer for sure.
  if (size > wanted.vocabulary_size ||
      (size < wanted.vocabulary_size && wanted.sha256.empty())) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, ": a vocabulary of ", size, ", the model's is ",
                     wanted.vocabulary_size, "; ", kRemedy));
  }
  LORY_RETURN_IF_ERROR(CheckSameTokenizer({file, Sha256Hex(opened.bytes)},
                                          {wanted.of, wanted.sha256}, kRemedy));
  opened.end_of_document = opened.tokenizer->end_of_document();
  for (const char* name : kBeside) {
    const std::string beside =
        (std::filesystem::path(file).parent_path() / name).string();
    std::error_code error;
    if (!std::filesystem::exists(beside, error)) continue;
    LORY_ASSIGN_OR_RETURN(opened.beside[name],
                          lory::io::LocalStorage().Read(beside));
  }
  return opened;
}

}  // namespace lory::text
