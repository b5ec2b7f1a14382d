#ifndef LORY_TOOLS_CORPUS_INPUT_LINE_H_
#define LORY_TOOLS_CORPUS_INPUT_LINE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/corpus/corpus_spec.h"

namespace lory::corpus {

// A line of input as a document.
struct InputLine {
  std::string text;
  std::string name;    // its id there; may be empty
  std::string domain;  // may be empty
};

// INVALID_ARGUMENT says what is wrong with the line. An id may be a whole
// number; id and domain may be null. A key of ours that comes twice, also on
// the way of a pointer, is wrong: one of the two would be lost without a word.
absl::StatusOr<InputLine> ParseInputLine(absl::string_view line,
                                         const InputKeys& keys = {});

// INVALID_ARGUMENT that says what is wrong with the value of a key or column.
absl::Status BadValue(absl::string_view key, absl::string_view what);

// INVALID_ARGUMENT: `domain` is none; names the key it came from.
absl::Status CheckDomain(absl::string_view key, absl::string_view domain);

// A whole file as a document. INVALID_ARGUMENT: it is not UTF-8.
absl::StatusOr<InputLine> ParseTextFile(absl::string_view bytes,
                                        absl::string_view name);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_INPUT_LINE_H_
