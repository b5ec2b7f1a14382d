#include "common/text/tokenizer.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/text_marks.h"
#include "common/text/tokenizer_json.h"

namespace lory::text {

namespace {

// What the tokenizer_config.json beside a tokenizer.model says, if there is
// one.
absl::Status ReadConfigBeside(const std::string& path, BytePairParts* parts) {
  const std::string config =
      (std::filesystem::path(path).parent_path() / kTokenizerConfigFile)
          .string();
  std::error_code error;
  if (!std::filesystem::exists(config, error)) return absl::OkStatus();
  LORY_ASSIGN_OR_RETURN(const std::string json,
                        io::LocalStorage().Read(config));
  return Annotate(ApplyTokenizerConfig(json, parts), config);
}

}  // namespace

std::vector<int64_t> EncodeBetweenMarks(const Tokenizer& tokenizer,
                                        absl::string_view text) {
  const TextMarks marks = tokenizer.marks();
  std::vector<int64_t> tokens(marks.before.begin(), marks.before.end());
  const std::vector<int32_t> ids = tokenizer.Encode(text);
  tokens.insert(tokens.end(), ids.begin(), ids.end());
  tokens.insert(tokens.end(), marks.after.begin(), marks.after.end());
  return tokens;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string bytes, io::LocalStorage().Read(path));
  const bool is_json = IsTokenizerJson(bytes);
  absl::StatusOr<BytePairParts> parts =
      is_json ? ParseTokenizerJson(bytes) : ParseSentencePieceModel(bytes);
  if (!parts.ok()) return Annotate(parts.status(), path);
  if (!is_json) LORY_RETURN_IF_ERROR(ReadConfigBeside(path, &*parts));
  return std::make_unique<BytePairTokenizer>(*std::move(parts));
}

}  // namespace lory::text
