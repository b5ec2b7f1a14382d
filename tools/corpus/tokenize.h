#ifndef LORY_TOOLS_CORPUS_TOKENIZE_H_
#define LORY_TOOLS_CORPUS_TOKENIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/stage.h"
#include "tools/corpus/token_store.h"

namespace lory::corpus {

// The stage: encodes every document of `store`, in its order, and puts the end
// mark behind each. `given`, if any, has tokens of some of them, which are
// taken as they are. Says in how many places an expression of the tokenizer
// gave up, which its figure texts_given_up counts.
absl::StatusOr<StageResult> Tokenize(const DocumentStore& store,
                                     const text::Tokenizer& tokenizer,
                                     const std::string& folder,
                                     Progress& progress,
                                     const TokenStore* given = nullptr);

// Words for people on `count` places in which it did.
std::string GivenUpText(int64_t count);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_TOKENIZE_H_
