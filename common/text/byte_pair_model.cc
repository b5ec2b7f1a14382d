#include "common/text/byte_pair_model.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "simdjson.h"

namespace lory::text {
namespace {

namespace json = simdjson::dom;

// Must say what FirstWordBytes does; tests compare the two by hand-made cases.
constexpr char kSplitPattern[] =
    R"('(?:[sdmt]|ll|ve|re)| ?[A-Za-z\x{80}-\x{10FFFF}]+| ?[0-9]{1,3}|)"
    R"( ?[^A-Za-z0-9 \t-\r\x{80}-\x{10FFFF}]+|)"
    R"([ \t-\r]+(?![^ \t-\r])|[ \t-\r]+)";

// Ids above this are no vocabulary but an attack on our memory.
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;

// GPT-2 writes every byte as a printable character: itself where it is one,
// else the next free one from U+0100 on.
std::array<uint32_t, 256> ByteCharacters() {
  std::array<uint32_t, 256> characters;
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') ||
                           (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

std::string ToCharacters(absl::string_view bytes) {
  static const std::array<uint32_t, 256> characters = ByteCharacters();
  std::string text;
  for (const char c : bytes) {
    const uint32_t character = characters[static_cast<unsigned char>(c)];
    if (character < 0x80) {
      text += static_cast<char>(character);
    } else {  // two bytes of UTF-8 reach U+07FF
      text += static_cast<char>(0xC0 | (character >> 6));
      text += static_cast<char>(0x80 | (character & 0x3F));
    }
  }
  return text;
}

// Nothing when `text` has characters that stand for no byte.
std::optional<std::string> ToBytes(absl::string_view text) {
  static const std::array<int16_t, 512> bytes = [] {
    std::array<int16_t, 512> table;
    table.fill(-1);
    const std::array<uint32_t, 256> characters = ByteCharacters();
    for (int16_t byte = 0; byte < 256; ++byte) table[characters[byte]] = byte;
    return table;
  }();
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t character = static_cast<unsigned char>(text[i]);
    if (character >= 0x80) {
      if ((character & 0xE0) != 0xC0 || i + 1 == text.size()) {
        return std::nullopt;
      }
      character = ((character & 0x1F) << 6) | (text[++i] & 0x3F);
    }
    if (character >= bytes.size() || bytes[character] < 0) return std::nullopt;
    out += static_cast<char>(bytes[character]);
  }
  return out;
}

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}

// ---- reading ----

std::string Text(json::element element) {
  const auto view = element.get_string().value_unsafe();
  return std::string(view.data(), view.size());
}

bool IsAbsent(json::element object, const char* key) {
  json::element value;
  if (object[key].get(value) != simdjson::SUCCESS) return true;
  return value.is_null() || (value.is_string() && Text(value).empty()) ||
         (value.is_bool() && !value.get_bool().value_unsafe());
}

bool IsText(json::element object, const char* key, absl::string_view expected) {
  json::element value;
  return object[key].get(value) == simdjson::SUCCESS && value.is_string() &&
         Text(value) == expected;
}

absl::Status Unsupported(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not supported: ", what));
}

absl::Status CheckSplit(json::element root) {
  const absl::Status unsupported = Unsupported(
      "its pre_tokenizer; only a Split by this project's pattern followed by "
      "ByteLevel without use_regex and add_prefix_space");
  json::element split, level, pattern;
  if (root.at_pointer("/pre_tokenizer/pretokenizers/0").get(split) !=
          simdjson::SUCCESS ||
      root.at_pointer("/pre_tokenizer/pretokenizers/1").get(level) !=
          simdjson::SUCCESS ||
      root.at_pointer("/pre_tokenizer/pretokenizers/2").error() ==
          simdjson::SUCCESS ||
      split["pattern"].get(pattern) != simdjson::SUCCESS) {
    return unsupported;
  }
  const bool ours =
      IsText(split, "type", "Split") &&
      IsText(pattern, "Regex", kSplitPattern) &&
      IsText(split, "behavior", "Isolated") && IsAbsent(split, "invert") &&
      IsText(level, "type", "ByteLevel") &&
      IsAbsent(level, "add_prefix_space") && IsAbsent(level, "use_regex");
  return ours ? absl::OkStatus() : unsupported;
}

absl::Status CheckFeatures(json::element root, json::element model) {
  if (!IsText(model, "type", "BPE")) return Unsupported("a model but BPE");
  for (const char* key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix",
        "byte_fallback", "ignore_merges"}) {
    if (!IsAbsent(model, key)) return Unsupported(absl::StrCat("model.", key));
  }
  if (!IsAbsent(root, "normalizer")) return Unsupported("a normalizer");
  return CheckSplit(root);
}

using VocabularyMap = absl::flat_hash_map<std::string, int32_t>;
// Ids that encoding may arrive at; a special token must be none of them.
using UsedIds = absl::flat_hash_set<int32_t>;

absl::Status ReadVocabulary(json::element model, BytePairModel* out,
                            VocabularyMap* ids, UsedIds* used) {
  json::object vocabulary;
  if (model["vocab"].get(vocabulary) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("model.vocab is no object");
  }
  for (const auto& [key, value] : vocabulary) {
    const std::string name(key.data(), key.size());
    int64_t id = 0;
    if (value.get(id) != simdjson::SUCCESS || id < 0 || id >= kMaxVocabulary) {
      return absl::InvalidArgumentError(
          absl::StrCat("model.vocab: the id of '", name, "' is out of range"));
    }
    if (out->tokens.size() <= static_cast<size_t>(id)) {
      out->tokens.resize(static_cast<size_t>(id) + 1);
    }
    const std::optional<std::string> bytes = ToBytes(name);
    if (!bytes || bytes->empty()) continue;  // a special token, added below
    if (!out->tokens[id].empty() ||
        !ids->emplace(name, static_cast<int32_t>(id)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("model.vocab: '", name, "' or its id comes twice"));
    }
    out->tokens[id] = *bytes;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string name = ToCharacters(std::string(1, char(byte)));
    if (!ids->contains(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "model.vocab has no token for byte ", byte, " ('", name, "')"));
    }
    used->insert(ids->at(name));
  }
  return absl::OkStatus();
}

// A merge is "a b" in older files and ["a", "b"] in newer ones.
std::optional<std::pair<std::string, std::string>> ReadMerge(
    json::element merge) {
  if (merge.is_string()) {
    const std::string text = Text(merge);
    const size_t space = text.find(' ');
    if (space == std::string::npos) return std::nullopt;
    return std::make_pair(text.substr(0, space), text.substr(space + 1));
  }
  json::array pair;
  if (merge.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
      !pair.at(0).value_unsafe().is_string() ||
      !pair.at(1).value_unsafe().is_string()) {
    return std::nullopt;
  }
  return std::make_pair(Text(pair.at(0).value_unsafe()),
                        Text(pair.at(1).value_unsafe()));
}

absl::Status ReadMerges(json::element model, const VocabularyMap& ids,
                        BytePairModel* out, UsedIds* used) {
  json::array merges;
  if (model["merges"].get(merges) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("model.merges is no array");
  }
  for (const json::element merge : merges) {
    const auto pair = ReadMerge(merge);
    const absl::Status bad = absl::InvalidArgumentError(
        absl::StrCat("model.merges[", out->merges.size(),
                     "] does not join two tokens of "
                     "the vocabulary into a third"));
    if (!pair) return bad;
    const auto left = ids.find(pair->first);
    const auto right = ids.find(pair->second);
    const auto joined = ids.find(pair->first + pair->second);
    if (left == ids.end() || right == ids.end() || joined == ids.end()) {
      return bad;
    }
    used->insert({left->second, right->second, joined->second});
    out->merges.emplace_back(left->second, right->second);
  }
  return absl::OkStatus();
}

// Special tokens are never made from text, so that documents cannot forge
// the mark between them.
absl::Status ReadAddedTokens(json::element root, const UsedIds& used,
                             BytePairModel* out) {
  json::array added;
  if (root["added_tokens"].get(added) != simdjson::SUCCESS) {
    return absl::OkStatus();
  }
  for (const json::element token : added) {
    json::element content;
    int64_t id = 0;
    if (token["content"].get(content) != simdjson::SUCCESS ||
        !content.is_string() || token["id"].get(id) != simdjson::SUCCESS ||
        id < 0 || id >= kMaxVocabulary ||
        used.contains(static_cast<int32_t>(id))) {
      return absl::InvalidArgumentError("added_tokens: content or id is wrong");
    }
    if (out->tokens.size() <= static_cast<size_t>(id)) {
      out->tokens.resize(static_cast<size_t>(id) + 1);
    }
    out->tokens[id].clear();
    const std::string name = Text(content);
    if (out->end_of_document_id < 0 &&
        (name == kEndOfDocument || name == "</s>" ||
         name == "<|end_of_text|>")) {
      out->end_of_document_id = static_cast<int32_t>(id);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<uint8_t> ByteAlphabet() {
  const std::array<uint32_t, 256> characters = ByteCharacters();
  std::vector<uint8_t> bytes(256);
  std::iota(bytes.begin(), bytes.end(), 0);
  std::sort(bytes.begin(), bytes.end(), [&](uint8_t a, uint8_t b) {
    return characters[a] < characters[b];
  });
  return bytes;
}

std::string SerializeBytePairModel(const BytePairModel& model) {
  // By hand, for the order of 50000 keys; a JSON library sorts or searches.
  std::vector<std::string> vocabulary;
  for (size_t id = 0; id < model.tokens.size(); ++id) {
    const bool special = static_cast<int32_t>(id) == model.end_of_document_id;
    const std::string& token = model.tokens[id];
    if (token.empty() && !special) continue;
    vocabulary.push_back(absl::StrCat(
        Quoted(special ? kEndOfDocument : ToCharacters(token)), ": ", id));
  }
  std::vector<std::string> merges;
  for (const auto& [left, right] : model.merges) {
    merges.push_back(Quoted(absl::StrCat(ToCharacters(model.tokens[left]), " ",
                                         ToCharacters(model.tokens[right]))));
  }
  nlohmann::ordered_json added = nlohmann::ordered_json::array();
  if (model.end_of_document_id >= 0) {
    added.push_back({{"id", model.end_of_document_id},
                     {"content", kEndOfDocument},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const nlohmann::ordered_json split = {{"type", "Split"},
                                        {"pattern", {{"Regex", kSplitPattern}}},
                                        {"behavior", "Isolated"},
                                        {"invert", false}};
  nlohmann::ordered_json level = {{"type", "ByteLevel"},
                                  {"add_prefix_space", false},
                                  {"trim_offsets", true},
                                  {"use_regex", false}};
  const nlohmann::ordered_json pre = {{"type", "Sequence"},
                                      {"pretokenizers", {split, level}}};
  return absl::StrCat(
      "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n",
      "\"added_tokens\": ", added.dump(), ",\n\"normalizer\": null,\n",
      "\"pre_tokenizer\": ", pre.dump(), ",\n\"post_processor\": null,\n",
      "\"decoder\": ", level.dump(), ",\n\"model\": {\n\"type\": \"BPE\",\n",
      "\"dropout\": null,\n\"unk_token\": null,\n",
      "\"continuing_subword_prefix\": null,\n\"end_of_word_suffix\": null,\n",
      "\"fuse_unk\": false,\n\"byte_fallback\": false,\n\"vocab\": {\n",
      absl::StrJoin(vocabulary, ",\n"), "\n},\n\"merges\": [\n",
      absl::StrJoin(merges, ",\n"), "\n]\n}\n}\n");
}

absl::StatusOr<BytePairModel> ParseBytePairModel(absl::string_view text) {
  json::parser parser;
  json::element root, model;
  const auto error =
      parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true)
          .get(root);
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("no JSON: ", simdjson::error_message(error)));
  }
  if (root["model"].get(model) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("it has no model");
  }
  LORY_RETURN_IF_ERROR(CheckFeatures(root, model));
  BytePairModel out;
  VocabularyMap ids;
  UsedIds used;
  LORY_RETURN_IF_ERROR(ReadVocabulary(model, &out, &ids, &used));
  LORY_RETURN_IF_ERROR(ReadMerges(model, ids, &out, &used));
  LORY_RETURN_IF_ERROR(ReadAddedTokens(root, used, &out));
  return out;
}

}  // namespace lory::text
