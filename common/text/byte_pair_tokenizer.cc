#include "common/text/byte_pair_tokenizer.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/text/utf8.h"

namespace lory::text {
namespace {

using Unit = BytePairModel::Unit;

constexpr size_t kMarkBytes = sizeof(kSpaceMark) - 1;

// Bytes before the first kSpaceMark behind another character.
size_t BytesToInnerMark(absl::string_view text) {
  size_t at = 0;
  while (absl::StartsWith(text.substr(at), kSpaceMark)) at += kMarkBytes;
  return std::min(text.find(kSpaceMark, at), text.size());
}

}  // namespace

std::string ByteTokenName(uint8_t byte) {
  return absl::StrFormat("<0x%02X>", byte);
}

BytePairTokenizer::BytePairTokenizer(BytePairModel model)
    : BytePairTokenizer(BytePairParts{.model = std::move(model)}) {}

BytePairTokenizer::BytePairTokenizer(BytePairParts parts)
    : parts_(std::move(parts)) {
  ReadTokens();
  ReadAdded();
  ReadWholeWords();
}

void BytePairTokenizer::ReadTokens() {
  const BytePairModel& model = parts_.model;
  const bool of_characters = model.unit == Unit::kCharacter;
  absl::flat_hash_map<absl::string_view, int32_t> ids;
  for (size_t id = 0; id < model.tokens.size(); ++id) {
    const std::string& token = model.tokens[id];
    if (token.empty()) continue;
    ids.emplace(token, static_cast<int32_t>(id));
    if (of_characters && FirstCharacterBytes(token) == token.size()) {
      characters_.emplace(token, static_cast<int32_t>(id));
    }
  }
  texts_ = model.tokens;
  if (parts_.marks_are_spaces) {
    for (std::string& text : texts_) {
      absl::StrReplaceAll({{kSpaceMark, " "}}, &text);
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    byte_ids_[byte] =
        ids.at(of_characters ? ByteTokenName(static_cast<uint8_t>(byte)) : one);
    texts_[byte_ids_[byte]] = one;
  }
  marks_begin_tokens_ = of_characters && !model.ignore_merges;
  for (size_t i = 0; i < model.merges.size(); ++i) {
    const auto& [left, right] = model.merges[i];
    const int32_t rank = model.merge_ranks.empty() ? static_cast<int32_t>(i)
                                                   : model.merge_ranks[i];
    const int32_t id = ids.at(model.tokens[left] + model.tokens[right]);
    pairs_.Add(left, right, {rank, id});
    const std::string& token = model.tokens[id];
    marks_begin_tokens_ &= BytesToInnerMark(token) == token.size();
  }
}

void BytePairTokenizer::ReadAdded() {
  std::vector<AddedTokens::Token> to_text, to_normalized;
  for (const BytePairParts::Added& added : parts_.added) {
    AddedTokens::Token token = added.token;
    if (!token.is_special) {
      texts_[token.id] =
          parts_.marks_are_spaces
              ? absl::StrReplaceAll(token.content, {{kSpaceMark, " "}})
              : token.content;
    }
    if (!added.in_normalized) {
      to_text.push_back(std::move(token));
      continue;
    }
    token.content = parts_.normalizer.Apply(token.content, Before::kNothing);
    if (!token.content.empty()) to_normalized.push_back(std::move(token));
  }
  added_to_text_ = AddedTokens(std::move(to_text));
  added_to_normalized_ = AddedTokens(std::move(to_normalized));
}

void BytePairTokenizer::ReadWholeWords() {
  const BytePairModel& model = parts_.model;
  std::vector<int32_t> out;
  for (size_t i = 0; i < model.tokens.size(); ++i) {
    const int32_t id = static_cast<int32_t>(i);
    if (model.tokens[i].empty()) continue;
    // A token need not be what its own units become, so each is tried.
    out.clear();
    if (!model.ignore_merges) JoinPart(model.tokens[i], &out);
    if (model.ignore_merges || (out.size() == 1 && out[0] == id)) {
      whole_words_.emplace(model.tokens[i], id);
    }
  }
}

std::vector<int32_t> BytePairTokenizer::Encode(absl::string_view text) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3);
  if (!parts_.pre_tokenizer && parts_.normalizer.steps.empty() &&
      !added_to_text_.any() && !added_to_normalized_.any()) {
    EncodeOwnWords(text, &ids);
    return ids;
  }
  if (parts_.sentence_normalizer) {
    EncodePiece(parts_.sentence_normalizer->Apply(text), Before::kNothing,
                &ids);
    return ids;
  }
  Before before = Before::kNothing;
  ForEachUtf8Run(text, [&](absl::string_view run, bool is_utf8) {
    if (is_utf8) {
      EncodeUtf8(run, before, &ids);
    } else {
      JoinPart(run, &ids);
    }
    before = Before::kBytes;
  });
  return ids;
}

void BytePairTokenizer::EncodeOwnWords(absl::string_view text,
                                       std::vector<int32_t>* ids) const {
  while (!text.empty()) {
    const absl::string_view word = text.substr(0, FirstWordBytes(text));
    EncodePart(word, ids);
    text.remove_prefix(word.size());
  }
}

void BytePairTokenizer::EncodeUtf8(absl::string_view text, Before before,
                                   std::vector<int32_t>* ids) const {
  added_to_text_.Split(text, [&](absl::string_view piece, int32_t id) {
    if (id >= 0) {
      ids->push_back(id);
    } else if (parts_.normalizer.steps.empty()) {
      EncodePiece(piece, before, ids);
    } else {
      EncodePiece(parts_.normalizer.Apply(piece, before), before, ids);
    }
    before = Before::kToken;
  });
}

void BytePairTokenizer::EncodePiece(absl::string_view text, Before before,
                                    std::vector<int32_t>* ids) const {
  added_to_normalized_.Split(text, [&](absl::string_view piece, int32_t id) {
    if (id >= 0) {
      ids->push_back(id);
    } else if (!parts_.pre_tokenizer) {
      EncodeOwnWords(piece, ids);
    } else {
      parts_.pre_tokenizer->ForEachWord(
          piece, before,
          [&](absl::string_view word) { EncodeWord(word, ids); });
    }
    before = Before::kToken;
  });
}

void BytePairTokenizer::EncodeWord(absl::string_view word,
                                   std::vector<int32_t>* ids) const {
  while (marks_begin_tokens_ && !word.empty()) {
    const absl::string_view part = word.substr(0, BytesToInnerMark(word));
    EncodePart(part, ids);
    word.remove_prefix(part.size());
  }
  if (!word.empty()) EncodePart(word, ids);
}

void BytePairTokenizer::EncodePart(absl::string_view part,
                                   std::vector<int32_t>* ids) const {
  const auto whole = whole_words_.find(part);
  if (whole != whole_words_.end()) {
    ids->push_back(whole->second);
  } else {
    JoinPart(part, ids);
  }
}

void BytePairTokenizer::JoinPart(absl::string_view part,
                                 std::vector<int32_t>* ids) const {
  std::vector<int32_t> units;
  units.reserve(part.size());
  AppendUnits(part, &units);
  pairs_.Join(&units);
  ids->insert(ids->end(), units.begin(), units.end());
}

void BytePairTokenizer::AppendUnits(absl::string_view part,
                                    std::vector<int32_t>* ids) const {
  const bool of_characters = parts_.model.unit == Unit::kCharacter;
  while (!part.empty()) {
    const size_t bytes = of_characters ? FirstCharacterBytes(part) : 0;
    const absl::string_view unit = part.substr(0, std::max<size_t>(bytes, 1));
    part.remove_prefix(unit.size());
    if (bytes > 0) {
      const auto character = characters_.find(unit);
      if (character != characters_.end()) {
        ids->push_back(character->second);
        continue;
      }
    }
    for (const char c : unit) {
      ids->push_back(byte_ids_[static_cast<unsigned char>(c)]);
    }
  }
}

bool BytePairTokenizer::HasToken(int32_t id) const {
  if (id < 0 || id >= vocabulary_size()) return false;
  if (!texts_[id].empty()) return true;
  return std::any_of(
      parts_.specials.begin(), parts_.specials.end(),
      [id](const auto& special) { return special.second == id; });
}

std::string BytePairTokenizer::begin_of_text() const {
  if (parts_.marks.before.empty()) return "";
  const int32_t first = parts_.marks.before.front();
  for (const auto& [text, id] : parts_.specials) {
    if (id == first) return text;
  }
  return "";
}

int32_t BytePairTokenizer::SpecialId(absl::string_view text) const {
  const auto found = parts_.specials.find(text);
  return found == parts_.specials.end() ? -1 : found->second;
}

std::string BytePairTokenizer::TokenText(int32_t id) const {
  return id >= 0 && id < vocabulary_size() ? texts_[id] : "";
}

int64_t BytePairTokenizer::given_up() const {
  int64_t count = 0;
  for (const auto& step : parts_.normalizer.steps) {
    const auto* replace = std::get_if<Normalizer::Replace>(&step);
    if (replace != nullptr) count += replace->pattern.given_up();
  }
  if (!parts_.pre_tokenizer) return count;
  for (const auto& step : parts_.pre_tokenizer->steps) {
    const auto* split = std::get_if<PreTokenizer::Split>(&step);
    if (split != nullptr) count += split->pattern.given_up();
  }
  return count;
}

std::string BytePairTokenizer::Decode(const std::vector<int32_t>& ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocabulary_size()) text += texts_[id];
  }
  if (parts_.drops_first_space && absl::StartsWith(text, " ")) text.erase(0, 1);
  return text;
}

}  // namespace lory::text
