#include "common/text/byte_pair_model.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/text/byte_characters.h"
#include "nlohmann/json.hpp"

namespace lory::text {
namespace {

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}

}  // namespace

// Must say what FirstWordBytes does; a test compares the two.
const char kOwnWords[] =
    R"('(?:[sdmt]|ll|ve|re)| ?[A-Za-z\x{80}-\x{10FFFF}]+| ?[0-9]{1,3}|)"
    R"( ?[^A-Za-z0-9 \t-\r\x{80}-\x{10FFFF}]+|)"
    R"([ \t-\r]+(?![^ \t-\r])|[ \t-\r]+)";

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
        Quoted(special ? kEndOfDocument : ToByteCharacters(token)), ": ", id));
  }
  std::vector<std::string> merges;
  for (const auto& [left, right] : model.merges) {
    merges.push_back(
        Quoted(absl::StrCat(ToByteCharacters(model.tokens[left]), " ",
                            ToByteCharacters(model.tokens[right]))));
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
                                        {"pattern", {{"Regex", kOwnWords}}},
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

}  // namespace lory::text
