#ifndef LORY_TOOLS_MODEL_EVAL_CHOICE_ITEMS_H_
#define LORY_TOOLS_MODEL_EVAL_CHOICE_ITEMS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/text/tokenizer.h"

// Multiple choice and classification from JSON lines: docs/lory-model.md.
namespace lory::eval {

// One line of a file.
struct ChoiceItem {
  std::string task;
  std::string file;
  int64_t line = 0;
  std::string context;
  std::vector<std::string> choices;  // at least two, none empty
  int64_t answer = 0;                // index of the right one

  // "questions.jsonl:3"
  std::string where() const;
};

// "questions" of "data/questions.jsonl".
std::string TaskOf(absl::string_view file);

// Reads `text`, the contents of `file`: one object a line; empty lines are
// skipped. A line without "task" is of the task `task`.
//
// INVALID_ARGUMENT names file, line and field; also: there is no item at all.
absl::StatusOr<std::vector<ChoiceItem>> ParseChoices(absl::string_view text,
                                                     const std::string& file,
                                                     const std::string& task);

// An item as tokens.
struct EncodedItem {
  std::vector<int64_t> context;  // at least one
  std::vector<std::vector<int64_t>> choices;
  // Of each choice as text, without the white space before it.
  std::vector<int64_t> bytes;
};

// Each choice is encoded with the context before it, of which it gets the white
// space at the end, and is what then follows the context's own tokens: as
// EleutherAI's lm-evaluation-harness does, which asks for no marks around them.
// An empty context becomes the token that begins texts, of a tokenizer without
// one the token that ends documents.
//
// INVALID_ARGUMENT names file and line: context and choice together are longer
// than `sequence_length`; a choice adds no token; the context is empty and the
// tokenizer has neither token.
absl::StatusOr<EncodedItem> EncodeItem(const lory::text::Tokenizer& tokenizer,
                                       const ChoiceItem& item,
                                       int64_t sequence_length);

// The same of all.
absl::StatusOr<std::vector<EncodedItem>> EncodeItems(
    const lory::text::Tokenizer& tokenizer,
    const std::vector<ChoiceItem>& items, int64_t sequence_length);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_CHOICE_ITEMS_H_
