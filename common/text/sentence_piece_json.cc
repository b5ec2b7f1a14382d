#include "common/text/sentence_piece_json.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/text/utf8.h"
#include "nlohmann/json.hpp"

namespace lory::text {
namespace {

using nlohmann::ordered_json;

std::string AsJson(const std::string& text) {
  return ordered_json(text).dump();
}

absl::Status NoJson(absl::string_view why) {
  return absl::UnimplementedError(
      absl::StrCat("no tokenizer.json has the same tokens: ", why));
}

bool IsUtf8(absl::string_view text) {
  bool all = true;
  ForEachUtf8Run(text,
                 [&all](absl::string_view, bool is_utf8) { all &= is_utf8; });
  return all;
}

absl::Status CheckSteps(const BytePairParts& parts) {
  if (!parts.sentence_normalizer) return NoJson("it is no SentencePiece model");
  const SentenceNormalizer& normalizer = *parts.sentence_normalizer;
  if (!normalizer.map.empty()) {
    return NoJson("the model normalizes characters by a table of its own");
  }
  if (normalizer.remove_extra_whitespaces) {
    return NoJson("the model removes spaces (remove_extra_whitespaces)");
  }
  if (normalizer.add_dummy_prefix && !parts.added.empty()) {
    return NoJson(
        "the model has user-defined symbols and puts a space before a text "
        "(add_dummy_prefix)");
  }
  return absl::OkStatus();
}

// The merges in an order without equals. Of two that make one piece
// SentencePiece takes the leftmost in a text and a list of merges the first;
// which one that is never shows, a test tries. It is the one whose tokens come
// first, as in transformers' own conversion.
struct Ordered {
  std::vector<std::pair<int32_t, int32_t>> merges;
  absl::Status status;  // pieces of one score
};

Ordered InOrder(const BytePairModel& model) {
  std::vector<std::tuple<int32_t, int32_t, int32_t>> all;
  for (size_t i = 0; i < model.merges.size(); ++i) {
    const auto& [left, right] = model.merges[i];
    all.emplace_back(model.merge_ranks[i], left, right);
  }
  std::sort(all.begin(), all.end());
  Ordered ordered;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& [rank, left, right] = all[i];
    ordered.merges.emplace_back(left, right);
    if (i == 0 || rank != std::get<0>(all[i - 1])) continue;
    const auto& [before, left_before, right_before] = all[i - 1];
    const std::string piece = model.tokens[left] + model.tokens[right];
    const std::string other =
        model.tokens[left_before] + model.tokens[right_before];
    if (piece == other) continue;
    ordered.status = NoJson(absl::StrCat("the pieces '", other, "' and '",
                                         piece, "' have one score"));
  }
  return ordered;
}

ordered_json AddedToken(const std::string& text, int32_t id, bool is_special) {
  return {{"id", id},
          {"content", text},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", !is_special},
          {"special", is_special}};
}

ordered_json ReplaceStep(const char* what, const char* by) {
  return {
      {"type", "Replace"}, {"pattern", {{"String", what}}}, {"content", by}};
}

ordered_json NormalizerOf(const SentenceNormalizer& normalizer) {
  const ordered_json replace = ReplaceStep(" ", kSpaceMark);
  if (!normalizer.add_dummy_prefix) return replace;
  return {{"type", "Sequence"},
          {"normalizers",
           ordered_json::array(
               {{{"type", "Prepend"}, {"prepend", kSpaceMark}}, replace})}};
}

ordered_json DecoderOf(const SentenceNormalizer& normalizer) {
  ordered_json steps = ordered_json::array({ReplaceStep(kSpaceMark, " "),
                                            {{"type", "ByteFallback"}},
                                            {{"type", "Fuse"}}});
  if (normalizer.add_dummy_prefix) {
    steps.push_back(
        {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", steps}};
}

// Names of the ids that have one.
std::vector<std::string> NamesOf(const BytePairParts& parts) {
  std::vector<std::string> names = parts.model.tokens;
  for (const auto& [text, id] : parts.specials) names[id] = text;
  for (const auto& added : parts.added) {
    names[added.token.id] = added.token.content;
  }
  return names;
}

ordered_json PostProcessorOf(const TextMarks& marks,
                             const std::vector<std::string>& names) {
  if (marks.before.empty() && marks.after.empty()) return nullptr;
  ordered_json single = ordered_json::array();
  ordered_json pair = ordered_json::array();
  ordered_json tokens = ordered_json::object();
  for (const int type : {0, 1}) {
    const auto add = [&](const ordered_json& piece) {
      if (type == 0) single.push_back(piece);
      pair.push_back(piece);
    };
    const auto add_marks = [&](const std::vector<int32_t>& ids) {
      for (const int32_t id : ids) {
        const std::string& name = names[id];
        add({{"SpecialToken", {{"id", name}, {"type_id", type}}}});
        tokens[name] = {{"id", name},
                        {"ids", ordered_json::array({id})},
                        {"tokens", ordered_json::array({name})}};
      }
    };
    add_marks(marks.before);
    add({{"Sequence", {{"id", type == 0 ? "A" : "B"}, {"type_id", type}}}});
    add_marks(marks.after);
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", tokens}};
}

std::string Serialize(const BytePairParts& parts,
                      const std::vector<std::pair<int32_t, int32_t>>& merges) {
  const std::vector<std::string> names = NamesOf(parts);
  // By hand, for the order of many keys; as SerializeBytePairModel.
  std::vector<std::string> vocabulary, pairs;
  for (size_t id = 0; id < names.size(); ++id) {
    vocabulary.push_back(absl::StrCat(AsJson(names[id]), ": ", id));
  }
  for (const auto& [left, right] : merges) {
    pairs.push_back(absl::StrCat("[", AsJson(names[left]), ", ",
                                 AsJson(names[right]), "]"));
  }
  std::vector<std::pair<int32_t, ordered_json>> added;
  for (const auto& [text, id] : parts.specials) {
    added.emplace_back(id, AddedToken(text, id, /*is_special=*/true));
  }
  for (const auto& each : parts.added) {
    added.emplace_back(each.token.id,
                       AddedToken(each.token.content, each.token.id,
                                  /*is_special=*/false));
  }
  std::sort(added.begin(), added.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  ordered_json added_tokens = ordered_json::array();
  for (auto& [id, token] : added) added_tokens.push_back(std::move(token));
  const SentenceNormalizer& normalizer = *parts.sentence_normalizer;
  return absl::StrCat(
      "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n",
      "\"added_tokens\": ", added_tokens.dump(),
      ",\n\"normalizer\": ", NormalizerOf(normalizer).dump(),
      ",\n\"pre_tokenizer\": null,\n\"post_processor\": ",
      PostProcessorOf(parts.marks, names).dump(),
      ",\n\"decoder\": ", DecoderOf(normalizer).dump(),
      ",\n\"model\": {\n\"type\": \"BPE\",\n\"dropout\": null,\n",
      "\"unk_token\": null,\n\"continuing_subword_prefix\": null,\n",
      "\"end_of_word_suffix\": null,\n\"fuse_unk\": true,\n",
      "\"byte_fallback\": true,\n\"ignore_merges\": false,\n\"vocab\": {\n",
      absl::StrJoin(vocabulary, ",\n"), "\n},\n\"merges\": [\n",
      absl::StrJoin(pairs, ",\n"), "\n]\n}\n}\n");
}

}  // namespace

absl::StatusOr<std::string> SentencePiecesAsJson(const BytePairParts& parts) {
  LORY_RETURN_IF_ERROR(CheckSteps(parts));
  const std::vector<std::string> names = NamesOf(parts);
  if (!std::all_of(names.begin(), names.end(), IsUtf8)) {
    return NoJson("a piece of the model is no UTF-8");
  }
  const Ordered ordered = InOrder(parts.model);
  LORY_RETURN_IF_ERROR(ordered.status);
  return Serialize(parts, ordered.merges);
}

}  // namespace lory::text
