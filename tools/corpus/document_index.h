#ifndef LORY_TOOLS_CORPUS_DOCUMENT_INDEX_H_
#define LORY_TOOLS_CORPUS_DOCUMENT_INDEX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// documents.jsonl beside a dataset's shards: which document stands where, a
// line each, in packed order.
namespace lory::corpus {

struct IndexedDocument {
  std::string id;    // hash of its text, hex
  std::string name;  // what the input called it; may be empty
  std::string domain;
  int64_t first_token = 0;           // in the packed stream
  int64_t token_count = 0;           // with the end mark
  std::optional<double> similarity;  // to the document before
  // How often it came before, when a mixture repeats it.
  int64_t pass = 0;
};

// One line with its end, and back. DATA_LOSS: it is none.
std::string SerializeIndexedDocument(const IndexedDocument& document);
absl::StatusOr<IndexedDocument> ParseIndexedDocument(absl::string_view line);

// Reads the whole file. DATA_LOSS: damaged, or documents do not follow each
// other without gaps; names file and line.
absl::StatusOr<std::vector<IndexedDocument>> ReadDocumentIndex(
    const std::string& path);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_DOCUMENT_INDEX_H_
