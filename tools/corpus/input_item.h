#ifndef LORY_TOOLS_CORPUS_INPUT_ITEM_H_
#define LORY_TOOLS_CORPUS_INPUT_ITEM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/input_line.h"
#include "tools/corpus/token_type.h"

namespace lory::corpus {

// A document out of an item.
struct InputDocument {
  std::string where;    // for people
  absl::Status status;  // as that of InputItem
  InputLine line;
  DocumentId id;
  bool empty = false;           // nothing but space
  std::vector<int32_t> tokens;  // when it came as such, without its end mark
};

// A line, a file of text or a sample as it came, and what became of it.
struct InputItem {
  std::string where;  // for people
  std::string bytes;  // JSON, text, or tokens
  std::optional<TokenType> token_type;
  std::string name, domain;  // unless JSON says them
  int64_t read_bytes = 0;
  // INVALID_ARGUMENT and OUT_OF_RANGE: it is bad, and others are not.
  absl::Status status;
  bool compare = false;  // whether to fill in made_by_tokenizer
  std::optional<bool> made_by_tokenizer;
  std::vector<InputDocument> documents;
  int64_t empty_documents = 0;  // beside those, without a token
};

// Makes documents of the bytes, which it drops, unless the status says that
// there are none. `tokenizer` is for tokens alone. On any thread.
void ParseItem(const CorpusInput& input, const text::Tokenizer* tokenizer,
               InputItem* item);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_INPUT_ITEM_H_
