#ifndef LORY_TOOLS_CORPUS_OUTPUT_GUARD_H_
#define LORY_TOOLS_CORPUS_OUTPUT_GUARD_H_

#include <string>

#include "absl/status/status.h"
#include "tools/corpus/corpus_spec.h"

// Keeps a build's hands off files that are not its own: it writes over files
// of certain names in its output folder and removes them.
namespace lory::corpus {

// To be asked before a build touches anything.
//
// INVALID_ARGUMENT: the build would write over or remove what it reads; names
// the key of the spec. FAILED_PRECONDITION: the output folder has files of a
// dataset's names, but no build made them.
absl::Status CheckOutput(const CorpusSpec& spec);

// Removes the dataset in `folder`, whole or what a killed build left of it:
// what its manifest lists, and names that only a build gives. The manifest
// goes first: without it there is no dataset, however much of the rest a crash
// leaves. Errors of io::Storage.
absl::Status RemoveOldDataset(const std::string& folder);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_OUTPUT_GUARD_H_
