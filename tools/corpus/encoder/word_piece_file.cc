#include <limits>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/encoder/model_folder.h"
#include "tools/corpus/encoder/word_piece.h"

namespace lory::corpus {
namespace {

using nlohmann::json;

constexpr char kVocabularyFile[] = "vocab.txt";
constexpr char kWordPieceFile[] = "tokenizer.json";
constexpr char kSettingsFile[] = "tokenizer_config.json";
constexpr const char* kLowerCase = "do_lower_case";
constexpr const char* kStripAccents = "strip_accents";
constexpr const char* kSpacedIdeographs = "tokenize_chinese_chars";
constexpr char kBeginMark[] = "[CLS]";
constexpr char kEndMark[] = "[SEP]";
constexpr char kUnknownMark[] = "[UNK]";
constexpr int64_t kMostIds = 1 << 24;
// Time grows with the square of a word's length.
constexpr uint64_t kLongestWord = 1'000;  // code points; models have 100

// The three that every text needs; `file` is where the list came from.
absl::Status FindMarks(const std::string& file, const std::string& unknown,
                       WordList* list) {
  for (const auto& [mark, id] :
       {std::pair{std::string(kBeginMark), &list->begin},
        {std::string(kEndMark), &list->end},
        {unknown, &list->unknown}}) {
    const auto found = list->ids.find(mark);
    if (found == list->ids.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": no ", mark,
                       " among its words: give the folder of a BERT encoder"));
    }
    *id = found->second;
  }
  return absl::OkStatus();
}

// tokenizer.json: reads what it can do and refuses what it cannot.
class WordPieceFile {
 public:
  WordPieceFile(std::string file, const json& root)
      : file_(std::move(file)), root_(root) {}

  absl::StatusOr<WordPiece> Read() {
    LORY_RETURN_IF_ERROR(ReadModel());
    LORY_RETURN_IF_ERROR(ReadAddedTokens());
    LORY_RETURN_IF_ERROR(ReadCleaning());
    return WordPiece(std::move(list_), cleaning_);
  }

 private:
  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(
        file_, ": ", what, ": only BERT's WordPiece tokenizer can be read"));
  }

  // `name`.type must be `type`.
  absl::Status CheckType(const char* name, const char* type) const {
    const json part = root_.value(name, json());
    const json found = part.is_object() ? part.value("type", json()) : json();
    if (found == type) return absl::OkStatus();
    return Wrong(
        absl::StrCat(name, ".type is ", ShortJson(found), ", not ", type));
  }

  absl::Status ReadModel() {
    LORY_RETURN_IF_ERROR(CheckType("model", "WordPiece"));
    const json& model = root_["model"];
    const json vocabulary = model.value("vocab", json());
    if (!vocabulary.is_object()) return Wrong("model.vocab is missing");
    for (const auto& [word, id] : vocabulary.items()) {
      if (!IsId(id)) {
        return Wrong(absl::StrCat("model.vocab: the id of '", word, "'"));
      }
      list_.ids[word] = id.get<int32_t>();
    }
    const json prefix = model.value("continuing_subword_prefix", json("##"));
    const json longest = model.value("max_input_chars_per_word", json(100u));
    const json unknown = model.value("unk_token", json(kUnknownMark));
    if (!prefix.is_string() || !unknown.is_string() ||
        !longest.is_number_unsigned()) {
      return Wrong(
          "model: continuing_subword_prefix, unk_token or "
          "max_input_chars_per_word");
    }
    if (longest.get<uint64_t>() > kLongestWord) {
      return Wrong(absl::StrCat("model.max_input_chars_per_word is ",
                                ShortJson(longest), ", above ", kLongestWord));
    }
    list_.continuation = prefix.get<std::string>();
    list_.longest_word = longest.get<size_t>();
    return FindMarks(file_, unknown.get<std::string>(), &list_);
  }

  absl::Status ReadAddedTokens() {
    const json added = root_.value("added_tokens", json::array());
    if (!added.is_array()) return Wrong("added_tokens");
    for (const json& token : added) {
      const json content =
          token.is_object() ? token.value("content", json()) : json();
      if (!content.is_string() || content.get<std::string>().empty() ||
          !IsId(token.value("id", json()))) {
        return Wrong(absl::StrCat("added_tokens: ", ShortJson(token)));
      }
      for (const char* rule :
           {"single_word", "lstrip", "rstrip", "normalized"}) {
        if (token.value(rule, json(false)) != false) {
          return Wrong(absl::StrCat("added_tokens: ", ShortJson(content),
                                    " has ", rule));
        }
      }
      list_.whole.emplace_back(content.get<std::string>(),
                               token["id"].get<int32_t>());
    }
    return absl::OkStatus();
  }

  absl::Status ReadCleaning() {
    LORY_RETURN_IF_ERROR(CheckType("normalizer", "BertNormalizer"));
    LORY_RETURN_IF_ERROR(CheckType("pre_tokenizer", "BertPreTokenizer"));
    const json& rules = root_["normalizer"];
    for (const auto& [name, target] :
         {std::pair{"clean_text", &cleaning_.clean_text},
          {"handle_chinese_chars", &cleaning_.spaced_ideographs},
          {"lowercase", &cleaning_.lower_case}}) {
      const json value = rules.value(name, json(true));
      if (!value.is_boolean()) return Wrong(absl::StrCat("normalizer.", name));
      *target = value.get<bool>();
    }
    const json strip = rules.value("strip_accents", json());
    if (!strip.is_null() && !strip.is_boolean()) {
      return Wrong("normalizer.strip_accents");
    }
    cleaning_.strip_accents =
        strip.is_null() ? cleaning_.lower_case : strip.get<bool>();
    return absl::OkStatus();
  }

  static bool IsId(const json& id) {
    return id.is_number_unsigned() && id.get<uint64_t>() < kMostIds;
  }

  const std::string file_;
  const json& root_;
  WordList list_;
  BertCleaning cleaning_;
};

absl::StatusOr<WordList> ReadVocabulary(const std::string& file,
                                        absl::string_view text) {
  WordList list;
  int32_t line = 0;
  for (absl::string_view word : absl::StrSplit(text, '\n')) {
    absl::ConsumeSuffix(&word, "\r");
    const bool is_end = word.data() + word.size() == text.data() + text.size();
    if (word.empty() && is_end) break;
    if (!list.ids.try_emplace(std::string(word), line).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ":", line + 1, ": '", word, "' stands twice"));
    }
    ++line;
  }
  LORY_RETURN_IF_ERROR(FindMarks(file, kUnknownMark, &list));
  for (const char* mark :
       {kBeginMark, kEndMark, kUnknownMark, "[PAD]", "[MASK]"}) {
    const auto found = list.ids.find(mark);
    if (found != list.ids.end()) list.whole.emplace_back(mark, found->second);
  }
  return list;
}

// What tokenizer_config.json says; none where it is not there.
absl::StatusOr<std::optional<json>> ReadSettings(const std::string& folder) {
  absl::StatusOr<json> settings = ReadJson(folder, kSettingsFile);
  if (absl::IsNotFound(settings.status())) return std::nullopt;
  LORY_RETURN_IF_ERROR(settings.status());
  return *std::move(settings);
}

// As usual where the settings say nothing.
absl::StatusOr<BertCleaning> CleaningOf(const std::string& folder,
                                        const json& settings) {
  BertCleaning cleaning;
  std::optional<bool> strip;
  const auto read = [&](const char* name, auto* target) {
    const json value = settings.value(name, json());
    if (value.is_boolean()) *target = value.get<bool>();
    return value.is_boolean() || value.is_null();
  };
  if (!read(kLowerCase, &cleaning.lower_case) ||
      !read(kSpacedIdeographs, &cleaning.spaced_ideographs) ||
      !read(kStripAccents, &strip)) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, "/", kSettingsFile,
                     ": do_lower_case, tokenize_chinese_chars "
                     "and strip_accents must be true, false or null"));
  }
  cleaning.strip_accents = strip.value_or(cleaning.lower_case);
  return cleaning;
}

// BertTokenizer of transformers 5 cleans text as tokenizer_config.json says, or
// as usual, whatever tokenizer.json says; the bare class for any tokenizer.json
// does not look there. Which one a model was trained with nobody can tell.
absl::Status CheckAgrees(const std::string& folder, const json& settings,
                         const BertCleaning& cleaning) {
  const json name = settings.value("tokenizer_class", json());
  if (name == "PreTrainedTokenizerFast" || name == "TokenizersBackend") {
    return absl::OkStatus();
  }
  LORY_ASSIGN_OR_RETURN(const BertCleaning other, CleaningOf(folder, settings));
  for (const auto& [key, field, here, there] :
       {std::tuple{kLowerCase, "lowercase", other.lower_case,
                   cleaning.lower_case},
        {kStripAccents, "strip_accents", other.strip_accents,
         cleaning.strip_accents},
        {kSpacedIdeographs, "handle_chinese_chars", other.spaced_ideographs,
         cleaning.spaced_ideographs}}) {
    if (here == there) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(folder, "/", kSettingsFile, ": ", key, " means ",
                     here ? "true" : "false", ", but normalizer.", field,
                     " of ", kWordPieceFile, " ", there ? "true" : "false",
                     ": make both say what the model was trained with"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WordPiece> WordPiece::Load(const std::string& folder) {
  const std::string list_file = absl::StrCat(folder, "/", kVocabularyFile);
  const absl::StatusOr<json> root = ReadJson(folder, kWordPieceFile);
  if (!absl::IsNotFound(root.status())) {
    LORY_RETURN_IF_ERROR(root.status());
    LORY_ASSIGN_OR_RETURN(
        WordPiece words,
        WordPieceFile(absl::StrCat(folder, "/", kWordPieceFile), *root).Read());
    LORY_ASSIGN_OR_RETURN(const std::optional<json> settings,
                          ReadSettings(folder));
    if (settings.has_value()) {
      LORY_RETURN_IF_ERROR(CheckAgrees(folder, *settings, words.cleaning()));
    }
    return words;
  }
  const absl::StatusOr<std::string> text = io::LocalStorage().Read(list_file);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat(folder, ": neither ", kWordPieceFile, " nor ",
                     kVocabularyFile, ": give the folder of a BERT encoder"));
  }
  LORY_RETURN_IF_ERROR(text.status());
  LORY_ASSIGN_OR_RETURN(WordList list, ReadVocabulary(list_file, *text));
  LORY_ASSIGN_OR_RETURN(const std::optional<json> settings,
                        ReadSettings(folder));
  LORY_ASSIGN_OR_RETURN(const BertCleaning cleaning,
                        CleaningOf(folder, settings.value_or(json::object())));
  return WordPiece(std::move(list), cleaning);
}

}  // namespace lory::corpus
