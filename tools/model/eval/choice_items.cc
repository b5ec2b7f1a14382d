#include "tools/model/eval/choice_items.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace lory::eval {
namespace {

using nlohmann::json;

constexpr char kExample[] =
    R"({"context": "1 + 1 =", "choices": [" 2", " 3"], "answer": 0})";

absl::Status Wrong(const ChoiceItem& item, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(item.where(), ": ", what));
}

absl::Status ReadChoices(const json& object, ChoiceItem& item) {
  const auto choices = object.find("choices");
  if (choices == object.end() || !choices->is_array() || choices->size() < 2) {
    return Wrong(item, "choices must be a list of two texts or more");
  }
  for (size_t i = 0; i < choices->size(); ++i) {
    const json& choice = (*choices)[i];
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty()) {
      return Wrong(item,
                   absl::StrCat("choices[", i, "] must be a text, not empty"));
    }
    item.choices.push_back(choice.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ReadItem(absl::string_view line, ChoiceItem& item) {
  const json object = json::parse(line.begin(), line.end(), nullptr,
                                  /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return Wrong(item, absl::StrCat("no JSON object; a line is ", kExample));
  }
  const auto context = object.find("context");
  if (context == object.end() || !context->is_string()) {
    return Wrong(item, "context must be a text (\"\" for none)");
  }
  item.context = context->get<std::string>();
  LORY_RETURN_IF_ERROR(ReadChoices(object, item));
  const auto answer = object.find("answer");
  if (answer == object.end() || !answer->is_number_unsigned() ||
      answer->get<uint64_t>() >= item.choices.size()) {
    return Wrong(item, absl::StrCat("answer must be the number of a choice, "
                                    "0 to ",
                                    item.choices.size() - 1));
  }
  item.answer = answer->get<int64_t>();
  const auto task = object.find("task");
  if (task == object.end()) return absl::OkStatus();
  if (!task->is_string() || task->get_ref<const std::string&>().empty()) {
    return Wrong(item, "task must be a name");
  }
  item.task = task->get<std::string>();
  return absl::OkStatus();
}

std::vector<int64_t> Encode(const lory::text::Tokenizer& tokenizer,
                            absl::string_view text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text);
  return {ids.begin(), ids.end()};
}

}  // namespace

std::string TaskOf(absl::string_view file) {
  const size_t folder = file.rfind('/');
  if (folder != absl::string_view::npos) file.remove_prefix(folder + 1);
  absl::ConsumeSuffix(&file, ".jsonl");
  return std::string(file);
}

std::string ChoiceItem::where() const { return absl::StrCat(file, ":", line); }

absl::StatusOr<std::vector<ChoiceItem>> ParseChoices(absl::string_view text,
                                                     const std::string& file,
                                                     const std::string& task) {
  std::vector<ChoiceItem> items;
  int64_t number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    ChoiceItem item{.task = task, .file = file, .line = number};
    LORY_RETURN_IF_ERROR(ReadItem(line, item));
    items.push_back(std::move(item));
  }
  if (items.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": no item; a line is ", kExample));
  }
  return items;
}

absl::StatusOr<EncodedItem> EncodeItem(const lory::text::Tokenizer& tokenizer,
                                       const ChoiceItem& item,
                                       int64_t sequence_length) {
  const absl::string_view context =
      absl::StripTrailingAsciiWhitespace(item.context);
  const absl::string_view space =
      absl::string_view(item.context).substr(context.size());
  EncodedItem encoded{.context = Encode(tokenizer, context)};
  const size_t context_tokens = encoded.context.size();
  if (context_tokens == 0) {
    const std::vector<int32_t> before = tokenizer.marks().before;
    const int32_t stands =
        before.empty() ? tokenizer.end_of_document_id() : before.front();
    if (stands < 0) {
      return Wrong(item,
                   "context is empty, and the tokenizer has no token that "
                   "begins a text or ends a document to stand for it");
    }
    encoded.context = {stands};
  }
  for (const std::string& choice : item.choices) {
    std::vector<int64_t> all =
        Encode(tokenizer, absl::StrCat(context, space, choice));
    if (all.size() <= context_tokens) {
      return Wrong(item, absl::StrCat("choice \"", choice,
                                      "\" adds no token to the context"));
    }
    all.erase(all.begin(), all.begin() + static_cast<int64_t>(context_tokens));
    // The last token is predicted and not read.
    const int64_t length =
        static_cast<int64_t>(encoded.context.size() + all.size()) - 1;
    if (length > sequence_length) {
      return Wrong(item,
                   absl::StrCat("context and choice \"", choice, "\" are ",
                                length + 1, " tokens, the model reads ",
                                sequence_length, ": shorten the context"));
    }
    encoded.choices.push_back(std::move(all));
    const size_t bytes = absl::StripLeadingAsciiWhitespace(choice).size();
    encoded.bytes.push_back(static_cast<int64_t>(std::max<size_t>(1, bytes)));
  }
  return encoded;
}

absl::StatusOr<std::vector<EncodedItem>> EncodeItems(
    const lory::text::Tokenizer& tokenizer,
    const std::vector<ChoiceItem>& items, int64_t sequence_length) {
  std::vector<EncodedItem> encoded;
  for (const ChoiceItem& item : items) {
    LORY_ASSIGN_OR_RETURN(encoded.emplace_back(),
                          EncodeItem(tokenizer, item, sequence_length));
  }
  return encoded;
}

}  // namespace lory::eval
