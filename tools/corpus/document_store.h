#ifndef LORY_TOOLS_CORPUS_DOCUMENT_STORE_H_
#define LORY_TOOLS_CORPUS_DOCUMENT_STORE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/mapped_file.h"
#include "common/io/storage.h"
#include "tools/corpus/array_file.h"

// The documents of a corpus after ingestion, in the order they came in:
//
//   documents.text   name and text of one document after the other
//   documents.index  a DocumentRecord each
//   domains.txt      the domains, a line each, by number
namespace lory::corpus {

// Begin of the SHA-256 of a document's text: the same for the same text
// everywhere and always.
struct DocumentId {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const DocumentId&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const DocumentId& id) {
    return H::combine(std::move(state), id.high, id.low);
  }
};

DocumentId IdOfText(absl::string_view text);
std::string ToHex(const DocumentId& id);

struct DocumentRecord {
  DocumentId id;
  int64_t offset = 0;  // of the name in documents.text; the text follows it
  int64_t text_bytes = 0;
  int32_t name_bytes = 0;
  int32_t domain = 0;
};

// Writes a store. Thread-compatible.
class DocumentStoreWriter {
 public:
  static absl::StatusOr<std::unique_ptr<DocumentStoreWriter>> Create(
      const std::string& folder);

  absl::Status Append(const DocumentId& id, absl::string_view name,
                      absl::string_view domain, absl::string_view text);
  // Nothing may follow.
  absl::Status Finish();

  int64_t document_count() const {
    return static_cast<int64_t>(records_.size());
  }
  int64_t domain_count() const { return static_cast<int64_t>(domains_.size()); }

  static std::vector<std::string> Files();

 private:
  DocumentStoreWriter(std::string folder, std::unique_ptr<io::FileWriter> text)
      : folder_(std::move(folder)), text_(std::move(text)) {}

  const std::string folder_;
  std::unique_ptr<io::FileWriter> text_;
  int64_t offset_ = 0;
  std::vector<DocumentRecord> records_;
  std::vector<std::string> domains_;
  absl::flat_hash_map<std::string, int32_t> domain_numbers_;
};

// A mapped store. Immutable; thread-safe.
class DocumentStore {
 public:
  static absl::StatusOr<DocumentStore> Open(const std::string& folder);

  int64_t count() const { return static_cast<int64_t>(records().size()); }
  std::span<const DocumentRecord> records() const { return index_.values(); }
  absl::string_view NameOf(int64_t document) const;
  absl::string_view TextOf(int64_t document) const;
  const std::vector<std::string>& domains() const { return domains_; }
  int64_t TextBytes() const;

 private:
  DocumentStore(ArrayFile<DocumentRecord> index,
                std::unique_ptr<io::MappedFile> text)
      : index_(std::move(index)), text_(std::move(text)) {}

  ArrayFile<DocumentRecord> index_;
  std::unique_ptr<io::MappedFile> text_;
  std::vector<std::string> domains_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_DOCUMENT_STORE_H_
