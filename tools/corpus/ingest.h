#ifndef LORY_TOOLS_CORPUS_INGEST_H_
#define LORY_TOOLS_CORPUS_INGEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

// The first duplicates, a line of JSON each: where, and whose text it is.
inline constexpr char kDuplicatesFile[] = "duplicates.jsonl";
// The first files and folders that were not read, a line of JSON each. Only for
// people, as of the last time that the stage ran: nothing depends on it.
inline constexpr char kSkippedFile[] = "skipped.jsonl";

// Reads all inputs into a document store under `folder`: bad lines are
// reported with file and line and counted, empty documents and those whose
// text came before are dropped and counted. Lines are parsed on all cores, a
// few megabytes at a time.
//
// With a `tokenizer`, inputs may hold tokens, and a TokenStore beside the
// documents has those of each that came as such, without its end mark, and
// none of the others.
//
// INVALID_ARGUMENT: more than max_errors bad lines, or no document at all.
// FAILED_PRECONDITION: another tokenizer made the tokens.
absl::StatusOr<StageResult> Ingest(const std::vector<CorpusInput>& inputs,
                                   int64_t max_errors,
                                   const std::string& folder,
                                   Progress& progress,
                                   const text::Tokenizer* tokenizer = nullptr);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_INGEST_H_
