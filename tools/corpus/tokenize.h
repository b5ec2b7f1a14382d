#ifndef LORY_TOOLS_CORPUS_TOKENIZE_H_
#define LORY_TOOLS_CORPUS_TOKENIZE_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

// Tokens of every document of a store, each with its end mark.
class TokenStore {
 public:
  static absl::StatusOr<TokenStore> Open(const std::string& folder);

  std::span<const int32_t> Of(int64_t document) const {
    const std::span<const int64_t> ends = ends_.values();
    const int64_t begin = document == 0 ? 0 : ends[document - 1];
    return tokens_.values().subspan(begin, ends[document] - begin);
  }

 private:
  TokenStore(ArrayFile<int32_t> tokens, ArrayFile<int64_t> ends)
      : tokens_(std::move(tokens)), ends_(std::move(ends)) {}

  ArrayFile<int32_t> tokens_;
  ArrayFile<int64_t> ends_;
};

// The stage: encodes every document of `store`, in its order.
absl::StatusOr<StageResult> Tokenize(const DocumentStore& store,
                                     const text::Tokenizer& tokenizer,
                                     const std::string& folder,
                                     Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_TOKENIZE_H_
