#include "common/text/tokenizer_json.h"

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/text/byte_characters.h"
#include "common/text/json_fields.h"
#include "common/text/text_marks.h"
#include "common/text/tokenizer_steps.h"
#include "common/text/utf8.h"

namespace lory::text {
namespace {

constexpr const char* kEnds[] = {
    "<|endoftext|>",         "</s>",
    "<|end_of_text|>",       "<eos>",
    "<｜end▁of▁sentence｜>", "<|end▁of▁sentence|>"};

// Ids above this are no vocabulary but an attack on our memory.
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;

// Reads the model and the added tokens into parts that know their steps.
class Reader {
 public:
  explicit Reader(BytePairParts* parts) : parts_(*parts) {}

  absl::Status Read(JsonElement root, JsonElement model) {
    LORY_RETURN_IF_ERROR(CheckFeatures(model));
    LORY_RETURN_IF_ERROR(ReadVocabulary(model));
    LORY_RETURN_IF_ERROR(CheckBytes());
    LORY_RETURN_IF_ERROR(ReadMerges(model));
    return ReadAddedTokens(root);
  }

 private:
  bool of_bytes() const {
    return parts_.model.unit == BytePairModel::Unit::kByte;
  }

  absl::Status CheckFeatures(JsonElement model) {
    const std::string type = TextAt(model, "type", "BPE");
    if (type != "BPE") {
      return Unsupported(absl::StrCat("the model ", type, "; only BPE"));
    }
    for (const char* key :
         {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!TextAt(model, key).empty()) {
        return Unsupported(absl::StrCat("model.", key));
      }
    }
    double dropout = 0;
    if (model["dropout"].get(dropout) == simdjson::SUCCESS && dropout != 0) {
      return Unsupported("model.dropout");
    }
    parts_.model.ignore_merges = BoolAt(model, "ignore_merges", false);
    if (of_bytes() || BoolAt(model, "byte_fallback", false)) {
      return absl::OkStatus();
    }
    return Unsupported(
        "a model that has no tokens for bytes, neither by a pre_tokenizer "
        "ByteLevel nor by byte_fallback: it would lose text");
  }

  // Room for `id`, which a file names.
  absl::Status MakeRoom(int64_t id, absl::string_view name) {
    if (id < 0 || id >= kMaxVocabulary) {
      return absl::InvalidArgumentError(
          absl::StrCat("the id of '", name, "' is out of range"));
    }
    std::vector<std::string>& tokens = parts_.model.tokens;
    if (tokens.size() <= static_cast<size_t>(id)) {
      tokens.resize(static_cast<size_t>(id) + 1);
    }
    return absl::OkStatus();
  }

  absl::Status ReadVocabulary(JsonElement model) {
    simdjson::dom::object vocabulary;
    if (model["vocab"].get(vocabulary) != simdjson::SUCCESS) {
      return absl::InvalidArgumentError("model.vocab is no object");
    }
    for (const auto& [key, value] : vocabulary) {
      const std::string name(key.data(), key.size());
      int64_t id = -1;
      if (value.get(id) != simdjson::SUCCESS) id = -1;
      LORY_RETURN_IF_ERROR(Annotate(MakeRoom(id, name), "model.vocab"));
      std::optional<std::string> token = name;
      if (of_bytes()) token = FromByteCharacters(name);
      if (!token || token->empty()) continue;  // an added token, added below
      std::string& place = parts_.model.tokens[id];
      if (!place.empty() ||
          !ids_.emplace(name, static_cast<int32_t>(id)).second) {
        return absl::InvalidArgumentError(
            absl::StrCat("model.vocab: '", name, "' or its id comes twice"));
      }
      place = *std::move(token);
    }
    return absl::OkStatus();
  }

  absl::Status CheckBytes() {
    for (int i = 0; i < 256; ++i) {
      const uint8_t byte = static_cast<uint8_t>(i);
      const std::string name =
          of_bytes() ? ToByteCharacters(std::string(1, static_cast<char>(byte)))
                     : ByteTokenName(byte);
      const auto found = ids_.find(name);
      if (found == ids_.end()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "model.vocab has no token for byte ", i, " ('", name, "')"));
      }
      used_.insert(found->second);
    }
    if (of_bytes()) return absl::OkStatus();
    for (const auto& [name, id] : ids_) {
      if (FirstCharacterBytes(name) == name.size()) used_.insert(id);
    }
    return absl::OkStatus();
  }

  // A merge is "a b" in older files and ["a", "b"] in newer ones.
  static std::optional<std::pair<std::string, std::string>> MergeOf(
      JsonElement merge) {
    const auto text_of = [](JsonElement element) {
      const auto view = element.get_string().value_unsafe();
      return std::string(view.data(), view.size());
    };
    if (merge.is_string()) {
      const std::string text = text_of(merge);
      const size_t space = text.find(' ');
      if (space == std::string::npos) return std::nullopt;
      return std::make_pair(text.substr(0, space), text.substr(space + 1));
    }
    simdjson::dom::array pair;
    if (merge.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        !pair.at(0).value_unsafe().is_string() ||
        !pair.at(1).value_unsafe().is_string()) {
      return std::nullopt;
    }
    return std::make_pair(text_of(pair.at(0).value_unsafe()),
                          text_of(pair.at(1).value_unsafe()));
  }

  absl::Status ReadMerges(JsonElement model) {
    simdjson::dom::array merges;
    if (model["merges"].get(merges) != simdjson::SUCCESS) {
      return absl::InvalidArgumentError("model.merges is no array");
    }
    auto& out = parts_.model.merges;
    for (const JsonElement merge : merges) {
      const absl::Status bad = absl::InvalidArgumentError(
          absl::StrCat("model.merges[", out.size(),
                       "] does not join two tokens of the vocabulary into a "
                       "third"));
      const auto pair = MergeOf(merge);
      if (!pair) return bad;
      const auto left = ids_.find(pair->first);
      const auto right = ids_.find(pair->second);
      const auto joined = ids_.find(pair->first + pair->second);
      if (left == ids_.end() || right == ids_.end() || joined == ids_.end()) {
        return bad;
      }
      used_.insert({left->second, right->second, joined->second});
      out.emplace_back(left->second, right->second);
    }
    return absl::OkStatus();
  }

  absl::Status ReadAddedTokens(JsonElement root) {
    simdjson::dom::array added;
    if (root["added_tokens"].get(added) != simdjson::SUCCESS) {
      return absl::OkStatus();
    }
    int best = -1;
    for (const JsonElement element : added) {
      BytePairParts::Added token;
      const std::string content = TextAt(element, "content");
      const int64_t id = WholeAt(element, "id", -1);
      const int rank = EndOfDocumentRank(content);
      const bool is_special = BoolAt(element, "special", false) || rank >= 0;
      LORY_RETURN_IF_ERROR(Annotate(MakeRoom(id, content), "added_tokens"));
      token.token = {content, static_cast<int32_t>(id), is_special};
      token.in_normalized = BoolAt(element, "normalized", !is_special);
      LORY_RETURN_IF_ERROR(CheckAdded(element, token.token));
      if (is_special) {
        parts_.model.tokens[id].clear();
        parts_.specials.emplace(content, token.token.id);
      }
      if (rank >= 0 && (best < 0 || rank < best)) {
        best = rank;
        parts_.model.end_of_document_id = token.token.id;
        parts_.model.end_of_document = content;
      }
      parts_.added.push_back(std::move(token));
    }
    return absl::OkStatus();
  }

  // Special tokens are never made from text, so that documents cannot forge
  // the mark between them: no id is that of two tokens.
  absl::Status CheckAdded(JsonElement element,
                          const AddedTokens::Token& token) {
    const auto of_model = ids_.find(token.content);
    const bool is_another_one =
        !parts_.model.tokens[token.id].empty() &&
        (of_model == ids_.end() || of_model->second != token.id);
    if (token.content.empty() || !added_ids_.insert(token.id).second ||
        (token.is_special ? used_.contains(token.id) : is_another_one)) {
      return absl::InvalidArgumentError(
          absl::StrCat("added_tokens: '", token.content, "' with the id ",
                       token.id, " is no token of its own"));
    }
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      if (!token.is_special && BoolAt(element, key, false)) {
        return Unsupported(
            absl::StrCat(key, " of the added token '", token.content, "'"));
      }
    }
    return absl::OkStatus();
  }

  BytePairParts& parts_;
  absl::flat_hash_map<std::string, int32_t> ids_;
  // Ids that words may become; a special token must be none of them.
  absl::flat_hash_set<int32_t> used_;
  absl::flat_hash_set<int32_t> added_ids_;
};

}  // namespace

bool IsTokenizerJson(absl::string_view bytes) {
  // A SentencePiece model begins with the tag of a message's first field, a
  // line feed. What is white space before a brace is JSON; no tag is a brace.
  absl::ConsumePrefix(&bytes, "\uFEFF");
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(bytes), "{");
}

int EndOfDocumentRank(absl::string_view token) {
  for (size_t i = 0; i < std::size(kEnds); ++i) {
    if (token == kEnds[i]) return static_cast<int>(i);
  }
  return -1;
}

absl::StatusOr<BytePairParts> ParseTokenizerJson(absl::string_view json) {
  simdjson::dom::parser parser;
  JsonElement root, model;
  const auto error =
      parser.parse(json.data(), json.size(), /*realloc_if_needed=*/true)
          .get(root);
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("no JSON: ", simdjson::error_message(error)));
  }
  if (root["model"].get(model) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("it has no model");
  }
  BytePairParts parts;
  LORY_RETURN_IF_ERROR(ReadSteps(root, &parts));
  LORY_RETURN_IF_ERROR(Reader(&parts).Read(root, model));
  LORY_RETURN_IF_ERROR(ReadPostProcessor(root, &parts));
  return parts;
}

}  // namespace lory::text
