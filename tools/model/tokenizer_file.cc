#include "tools/model/tokenizer_file.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/text/sentence_piece_json.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/text_marks.h"
#include "common/text/tokenizer_json.h"

namespace lory::surgery {

using nlohmann::ordered_json;

namespace {

std::string TokenizerConfigJson(const TokenizerFile& file,
                                int64_t sequence_length, bool has_json) {
  ordered_json json = {{"tokenizer_class", has_json ? "PreTrainedTokenizerFast"
                                                    : "LlamaTokenizer"},
                       {"model_max_length", sequence_length},
                       {"clean_up_tokenization_spaces", false}};
  const lory::text::TextMarks marks = file.tokenizer->marks();
  const std::string& end = file.end_of_document;
  const std::string begin = file.tokenizer->begin_of_text();
  if (!begin.empty() || !end.empty()) {
    json["bos_token"] = begin.empty() ? end : begin;
  }
  if (!end.empty()) json["eos_token"] = end;
  // Beside a tokenizer.json transformers does not look at them; whoever reads
  // the tokenizer.model does, as is done here.
  if (!lory::text::IsTokenizerJson(file.bytes)) {
    json["add_bos_token"] = !marks.before.empty();
    json["add_eos_token"] = !marks.after.empty();
  }
  return json.dump(2, ' ', /*ensure_ascii=*/false,
                   ordered_json::error_handler_t::replace) +
         "\n";
}

// A tokenizer.json of the same tokens as the tokenizer.model.
absl::StatusOr<std::string> JsonOf(const TokenizerFile& file) {
  LORY_ASSIGN_OR_RETURN(lory::text::BytePairParts parts,
                        lory::text::ParseSentencePieceModel(file.bytes));
  parts.marks = file.tokenizer->marks();
  return lory::text::SentencePiecesAsJson(parts);
}

}  // namespace

TokenizerFolder MakeTokenizerFolder(const TokenizerFile& file,
                                    int64_t sequence_length) {
  TokenizerFolder folder;
  bool has_json = lory::text::IsTokenizerJson(file.bytes);
  if (has_json) {
    folder.files = file.beside;
  } else if (auto json = JsonOf(file); json.ok()) {
    has_json = true;
    folder.files.emplace(kTokenizerFile, *std::move(json));
  } else {
    folder.difference = absl::StrCat(
        "; ", json.status().message(),
        ", and transformers' LlamaTokenizer may make others of a text that "
        "begins with a space or that the tokenizer.model normalizes, use "
        "sentencepiece for these");
  }
  folder.files.emplace(lory::text::kTokenizerConfigFile,
                       TokenizerConfigJson(file, sequence_length, has_json));
  folder.files.emplace(lory::text::TokenizerFileName(file.bytes), file.bytes);
  return folder;
}

std::string WhyTokenizerIsOfNoUse(const std::string& folder,
                                  int64_t vocabulary_size) {
  const std::string path = lory::text::TokenizerPath(folder);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return "";
  const auto tokenizer = lory::text::LoadTokenizer(path);
  if (!tokenizer.ok()) {
    return absl::StrCat(
        "no dataset can be made for it here, for its tokenizer cannot be "
        "used: ",
        tokenizer.status().message(), "\n");
  }
  const int64_t size = (*tokenizer)->vocabulary_size();
  if (size == vocabulary_size) return "";
  const std::string sizes = absl::StrCat(path, ": a vocabulary of ", size,
                                         ", the model's is ", vocabulary_size);
  if (size > vocabulary_size) {
    return absl::StrCat("its tokenizer cannot be used with it: ", sizes, "\n");
  }
  return absl::StrCat(
      "it can be served and exported with its tokenizer, but no dataset can be "
      "made for it here, which has as many ids as the model: ",
      sizes, "\n");
}

std::vector<int64_t> EncodeText(const TokenizerFile& file,
                                absl::string_view text) {
  const std::vector<int32_t> ids = file.tokenizer->Encode(text);
  return {ids.begin(), ids.end()};
}

std::vector<int64_t> EncodePrompt(const TokenizerFile& file,
                                  absl::string_view text) {
  return lory::text::EncodeBetweenMarks(*file.tokenizer, file.end_of_document,
                                        text);
}

}  // namespace lory::surgery
