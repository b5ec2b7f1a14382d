#ifndef LORY_TOOLS_CORPUS_VERIFY_H_
#define LORY_TOOLS_CORPUS_VERIFY_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/base/progress.h"

namespace lory::corpus {

// Reads every byte of a dataset and checks what it promises: hashes and sizes
// as in the manifest, token ids inside the tokenizer's vocabulary, every
// document where documents.jsonl says and ended by its mark, no document
// twice in one pass. Returns a line for people.
//
// DATA_LOSS names what is broken.
absl::StatusOr<std::string> VerifyDataset(const std::string& path,
                                          Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_VERIFY_H_
