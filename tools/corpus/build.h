#ifndef LORY_TOOLS_CORPUS_BUILD_H_
#define LORY_TOOLS_CORPUS_BUILD_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/base/progress.h"
#include "tools/corpus/corpus_spec.h"

namespace lory::corpus {

// What a build is told beside its spec.
struct BuildOptions {
  std::string redo;  // a stage to run though it is up to date; empty: none
};

// The stages, in their order: what `redo` may name.
bool IsStageName(absl::string_view name);
std::string StageNames();  // "ingest, split, ..."

// Runs every stage that is not up to date and returns a few lines on the
// dataset for people. FAILED_PRECONDITION: another build is at it.
absl::StatusOr<std::string> BuildDataset(const CorpusSpec& spec,
                                         const BuildOptions& options,
                                         Progress& progress);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_BUILD_H_
