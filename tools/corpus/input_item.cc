#include "tools/corpus/input_item.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "tools/corpus/token_document.h"

namespace lory::corpus {
namespace {

void Add(InputItem* item, absl::StatusOr<InputLine> line) {
  InputDocument& document = item->documents.emplace_back();
  document.where = item->where;
  document.status = line.status();
  if (line.ok()) document.line = *std::move(line);
}

// Each document of a sample that has several is known by its number.
void AddTokens(const text::Tokenizer& tokenizer, InputItem* item) {
  auto found = DocumentsOf(item->bytes, *item->token_type, tokenizer);
  if (!found.ok()) {
    item->status = found.status();
    return;
  }
  item->empty_documents = found->empty;
  const bool is_one = found->documents.size() == 1 && found->empty == 0;
  for (TokenDocument& from : found->documents) {
    if (item->compare && !item->made_by_tokenizer) {
      item->made_by_tokenizer = IsMadeBy(tokenizer, from.tokens);
    }
    InputDocument& document = item->documents.emplace_back();
    document.where = item->where;
    document.status = from.status;
    document.line = {std::move(from.text), item->name, item->domain};
    document.tokens = std::move(from.tokens);
    if (is_one) continue;
    absl::StrAppend(&document.where, ", document ", from.number);
    absl::StrAppend(&document.line.name, ".", from.number);
  }
}

absl::StatusOr<InputLine> ParsePlain(const CorpusInput& input,
                                     const InputItem& item) {
  if (input.format == InputFormat::kJsonLines) {
    return ParseInputLine(item.bytes, input.keys);
  }
  absl::StatusOr<InputLine> line = ParseTextFile(item.bytes, item.name);
  if (line.ok()) line->domain = item.domain;
  return line;
}

}  // namespace

void ParseItem(const CorpusInput& input, const text::Tokenizer* tokenizer,
               InputItem* item) {
  if (!item->status.ok()) return;
  if (item->token_type) {
    AddTokens(*tokenizer, item);
  } else {
    Add(item, ParsePlain(input, *item));
  }
  item->bytes = {};  // what is of use was copied
  for (InputDocument& document : item->documents) {
    if (!document.status.ok()) continue;
    document.empty = absl::StripAsciiWhitespace(document.line.text).empty();
    if (!document.empty) document.id = IdOfText(document.line.text);
  }
}

}  // namespace lory::corpus
