#ifndef LORY_TOOLS_CORPUS_OUTPUT_GUARD_H_
#define LORY_TOOLS_CORPUS_OUTPUT_GUARD_H_

#include <string>

#include "absl/status/status.h"
#include "tools/corpus/corpus_spec.h"

// Keeps a build's hands off files that are not its own: it writes over files
// of certain names in its output folder and removes them. And keeps other
// commands' hands off the build's.
namespace lory::corpus {

// To be asked before a build touches anything.
//
// INVALID_ARGUMENT: the build would write over or remove what it reads; names
// the key of the spec. FAILED_PRECONDITION: the output folder has files of a
// dataset's names, but no build made them.
absl::Status CheckOutput(const CorpusSpec& spec);

// Whether a command may write a picture to `path`, an absolute path, of the
// dataset in `folder`. INVALID_ARGUMENT: it is a file of the dataset or lies
// among its stages, or its name says that it is no SVG.
absl::Status CheckPicture(const std::string& path, const std::string& folder);

// Removes the dataset in `folder`, whole or what a killed build left of it:
// what its manifest lists, and names that only a build gives. The manifest
// goes first: without it there is no dataset, however much of the rest a crash
// leaves. Errors of io::Storage.
absl::Status RemoveOldDataset(const std::string& folder);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_OUTPUT_GUARD_H_
