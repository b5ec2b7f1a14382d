#include "common/text/tokenizer.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/tokenizer_json.h"

namespace lory::text {

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string bytes, io::LocalStorage().Read(path));
  absl::StatusOr<BytePairParts> parts = IsTokenizerJson(bytes)
                                            ? ParseTokenizerJson(bytes)
                                            : ParseSentencePieceModel(bytes);
  if (!parts.ok()) return Annotate(parts.status(), path);
  return std::make_unique<BytePairTokenizer>(*std::move(parts));
}

}  // namespace lory::text
