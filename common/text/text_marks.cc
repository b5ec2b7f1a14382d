#include "common/text/text_marks.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/json_text.h"

namespace lory::text {
namespace {

using nlohmann::ordered_json;

// More are no marks but an attack on the context.
constexpr size_t kMostMarks = 64;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("post_processor: ", what));
}

class PostProcessorReader {
 public:
  explicit PostProcessorReader(BytePairParts* parts) : parts_(*parts) {}

  absl::Status Add(JsonElement processor) {
    const std::string type = TextAt(processor, "type");
    TextMarks marks;
    if (type == "ByteLevel") return absl::OkStatus();  // of offsets alone
    if (type == "TemplateProcessing") {
      LORY_RETURN_IF_ERROR(ReadTemplate(processor, &marks));
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      LORY_RETURN_IF_ERROR(AddPair(processor, "cls", &marks.before));
      LORY_RETURN_IF_ERROR(AddPair(processor, "sep", &marks.after));
    } else {
      return Unsupported(absl::StrCat("the post_processor ", type));
    }
    // Each goes around what the one before made.
    TextMarks& all = parts_.marks;
    all.before.insert(all.before.begin(), marks.before.begin(),
                      marks.before.end());
    all.after.insert(all.after.end(), marks.after.begin(), marks.after.end());
    return all.before.size() + all.after.size() <= kMostMarks
               ? absl::OkStatus()
               : Wrong(absl::StrCat("has more than ", kMostMarks, " tokens"));
  }

 private:
  absl::Status AddMark(int64_t id, std::vector<int32_t>* marks) const {
    if (id < 0 || id >= static_cast<int64_t>(parts_.model.tokens.size())) {
      return Wrong(absl::StrCat("token ", id, " is not in the vocabulary"));
    }
    marks->push_back(static_cast<int32_t>(id));
    return absl::OkStatus();
  }

  // ["<s>", 0]
  absl::Status AddPair(JsonElement processor, const char* key,
                       std::vector<int32_t>* marks) const {
    simdjson::dom::array pair;
    int64_t id = -1;
    if (processor[key].get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(1).get(id) != simdjson::SUCCESS) {
      return Wrong(absl::StrCat(key, " is no pair of a token and its id"));
    }
    return AddMark(id, marks);
  }

  // What `single` says: pieces, one of which is the text.
  absl::Status ReadTemplate(JsonElement processor, TextMarks* marks) const {
    simdjson::dom::array single;
    if (processor["single"].get(single) != simdjson::SUCCESS) {
      return Wrong("single is no array");
    }
    int64_t texts = 0;
    for (const JsonElement piece : single) {
      JsonElement inside;
      if (piece["Sequence"].get(inside) == simdjson::SUCCESS &&
          TextAt(inside, "id") == "A") {
        ++texts;
      } else if (piece["SpecialToken"].get(inside) == simdjson::SUCCESS) {
        LORY_RETURN_IF_ERROR(
            AddNamed(processor, TextAt(inside, "id"),
                     texts == 0 ? &marks->before : &marks->after));
      } else {
        return Wrong("single has a piece that is neither a token nor the text");
      }
    }
    if (texts == 1) return absl::OkStatus();
    return Wrong(absl::StrCat("single has the text ", texts, " times"));
  }

  // The ids that special_tokens has for `name`.
  absl::Status AddNamed(JsonElement processor, const std::string& name,
                        std::vector<int32_t>* marks) const {
    simdjson::dom::object tokens;
    simdjson::dom::array ids;
    if (processor["special_tokens"].get(tokens) != simdjson::SUCCESS ||
        tokens.at_key(name)["ids"].get(ids) != simdjson::SUCCESS ||
        ids.size() > kMostMarks) {
      return Wrong(absl::StrCat("special_tokens has no ids of '", name, "'"));
    }
    for (const JsonElement element : ids) {
      int64_t id = -1;
      if (element.get(id) != simdjson::SUCCESS) id = -1;
      LORY_RETURN_IF_ERROR(AddMark(id, marks));
    }
    return absl::OkStatus();
  }

  BytePairParts& parts_;
};

// The text under `key`: itself, or `content` of what describes it; as
// LlamaTokenizer has it where there is no such key. Empty: it is null.
std::string TokenTextAt(const ordered_json& config, const char* key,
                        const char* otherwise) {
  const auto found = config.find(key);
  if (found == config.end()) return otherwise;
  const ordered_json& text = found->is_object() && found->contains("content")
                                 ? (*found)["content"]
                                 : *found;
  return text.is_string() ? text.get<std::string>() : "";
}

// Adds the token under `key` if `flag` asks for it. Where that is null
// transformers puts none, either.
absl::Status AddIfAsked(const ordered_json& config, const char* flag,
                        const char* key, const char* otherwise,
                        const BytePairParts& parts,
                        std::vector<int32_t>* marks) {
  const auto asked = config.find(flag);
  const std::string token = TokenTextAt(config, key, otherwise);
  if (asked == config.end() || *asked != true || token.empty()) {
    return absl::OkStatus();
  }
  const auto found = parts.specials.find(token);
  if (found == parts.specials.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " asks for the ", key, " '", token,
                     "', which is no special token of the tokenizer"));
  }
  marks->push_back(found->second);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadPostProcessor(JsonElement root, BytePairParts* parts) {
  PostProcessorReader reader(parts);
  LORY_ASSIGN_OR_RETURN(const std::vector<JsonElement> steps,
                        StepsAt(root, "post_processor", "processors"));
  for (const JsonElement step : steps) {
    LORY_RETURN_IF_ERROR(reader.Add(step));
  }
  return absl::OkStatus();
}

absl::Status ApplyTokenizerConfig(absl::string_view json,
                                  BytePairParts* parts) {
  // Not by simdjson: transformers writes a model_max_length of 10^30.
  LORY_ASSIGN_OR_RETURN(const ordered_json root, io::ParseJsonObject(json));
  TextMarks marks;
  LORY_RETURN_IF_ERROR(AddIfAsked(root, "add_bos_token", "bos_token", "<s>",
                                  *parts, &marks.before));
  LORY_RETURN_IF_ERROR(AddIfAsked(root, "add_eos_token", "eos_token", "</s>",
                                  *parts, &marks.after));
  parts->marks = std::move(marks);
  return absl::OkStatus();
}

}  // namespace lory::text
