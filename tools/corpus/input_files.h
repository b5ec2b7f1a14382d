#ifndef LORY_TOOLS_CORPUS_INPUT_FILES_H_
#define LORY_TOOLS_CORPUS_INPUT_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/corpus/corpus_spec.h"

namespace lory::corpus {

struct InputFile {
  std::string path;
  std::string name;  // beneath the input's folder; of a single file its own
};

// Why something is not read; what people expect least comes first.
enum class SkipReason {
  kNoPlainFile,
  kLinkToFolder,
  kOtherName,
  kOfTheBuild,
  kHidden,
};
// "hidden".
absl::string_view NameOf(SkipReason reason);

// What lies beneath an input's folder and is not read; a folder is one.
struct SkippedFile {
  std::string name;  // beneath the input's folder
  SkipReason reason;
};

// The files that an input stands for.
struct InputFiles {
  std::vector<InputFile> files;      // sorted by name
  std::vector<SkippedFile> skipped;  // by reason, then likewise
};

// A file is itself. Of a folder all that lies beneath, but for what begins
// with a dot and the input's `left_out`; as JSON lines only *.jsonl, *.ndjson
// and *.json, each also as .gz, .zst or .zstd; of Megatron's only *.idx; of MDS
// only index.json, and nothing else of a folder that has one, but for an index
// beneath whose folder the outer one names no shard in. Links are followed to
// files, not to folders.
//
// NOT_FOUND: there is no such file or folder. INVALID_ARGUMENT: the folder has
// no file to read; says what it looked for; or has a link of such a name that
// leads to nothing. Those of ReadMdsIndex, of an index that has another
// beneath; those of a folder that cannot be read, which is named.
absl::StatusOr<InputFiles> FilesOf(const CorpusInput& input);

// All that is read for one of them: itself, the .bin of a .idx, the shards of
// an index. Errors: those of ReadMdsIndex.
absl::StatusOr<std::vector<InputFile>> PartsOf(const CorpusInput& input,
                                               const InputFile& file);

// One hash over names and contents, for the stage's fingerprint: a folder that
// was only moved or touched is the same.
absl::StatusOr<std::string> HashOf(const CorpusInput& input);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_INPUT_FILES_H_
