#ifndef LORY_TOOLS_CORPUS_INGEST_H_
#define LORY_TOOLS_CORPUS_INGEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/progress.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

// A line of input as a document.
struct InputLine {
  std::string text;
  std::string name;    // "id"; may be empty
  std::string domain;  // may be empty
};

// INVALID_ARGUMENT says what is wrong with the line.
absl::StatusOr<InputLine> ParseInputLine(absl::string_view line);

// Reads all inputs into a document store under `folder`: bad lines are
// reported with file and line and counted, empty documents and those whose
// text came before are dropped and counted.
//
// INVALID_ARGUMENT: more than max_errors bad lines, or no document at all.
absl::StatusOr<StageResult> Ingest(const std::vector<CorpusInput>& inputs,
                                   int64_t max_errors,
                                   const std::string& folder,
                                   Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_INGEST_H_
