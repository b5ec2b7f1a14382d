#include "tools/corpus/document_store.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"

namespace lory::corpus {
namespace {

constexpr char kTextFile[] = "documents.text";
constexpr char kIndexFile[] = "documents.index";
constexpr char kDomainsFile[] = "domains.txt";

std::string In(const std::string& folder, absl::string_view file) {
  return absl::StrCat(folder, "/", file);
}

}  // namespace

DocumentId IdOfText(absl::string_view text) {
  const std::string hash = Sha256Bytes(text);
  // Big-endian, so that the hex digits are those of the hash.
  DocumentId id;
  for (int i = 0; i < 8; ++i) {
    id.high = (id.high << 8) | static_cast<unsigned char>(hash[i]);
    id.low = (id.low << 8) | static_cast<unsigned char>(hash[8 + i]);
  }
  return id;
}

std::string ToHex(const DocumentId& id) {
  return absl::StrFormat("%016x%016x", id.high, id.low);
}

absl::StatusOr<std::unique_ptr<DocumentStoreWriter>>
DocumentStoreWriter::Create(const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::FileWriter> text,
                        io::LocalStorage().Create(In(folder, kTextFile)));
  return std::unique_ptr<DocumentStoreWriter>(
      new DocumentStoreWriter(folder, std::move(text)));
}

absl::Status DocumentStoreWriter::Append(const DocumentId& id,
                                         absl::string_view name,
                                         absl::string_view domain,
                                         absl::string_view text) {
  const auto [found, is_new] = domain_numbers_.emplace(
      std::string(domain), static_cast<int32_t>(domains_.size()));
  if (is_new) domains_.push_back(std::string(domain));
  DocumentRecord record;
  record.id = id;
  record.offset = offset_;
  record.text_bytes = static_cast<int64_t>(text.size());
  record.name_bytes = static_cast<int32_t>(name.size());
  record.domain = found->second;
  records_.push_back(record);
  offset_ += static_cast<int64_t>(name.size() + text.size());
  LORY_RETURN_IF_ERROR(text_->Append(name));
  return text_->Append(text);
}

absl::Status DocumentStoreWriter::Finish() {
  LORY_RETURN_IF_ERROR(text_->Commit());
  LORY_RETURN_IF_ERROR(
      WriteArray<DocumentRecord>(In(folder_, kIndexFile), records_));
  return io::LocalStorage().Write(In(folder_, kDomainsFile),
                                  absl::StrJoin(domains_, "\n"));
}

std::vector<std::string> DocumentStoreWriter::Files() {
  return {kTextFile, kIndexFile, kDomainsFile};
}

absl::StatusOr<DocumentStore> DocumentStore::Open(const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(
      ArrayFile<DocumentRecord> index,
      ArrayFile<DocumentRecord>::Open(In(folder, kIndexFile)));
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> text,
                        io::MappedFile::Open(In(folder, kTextFile)));
  LORY_ASSIGN_OR_RETURN(const std::string domains,
                        io::LocalStorage().Read(In(folder, kDomainsFile)));
  DocumentStore store(std::move(index), std::move(text));
  store.domains_ = absl::StrSplit(domains, '\n');
  return store;
}

absl::string_view DocumentStore::NameOf(int64_t document) const {
  const DocumentRecord& record = records()[document];
  return text_->bytes().substr(record.offset, record.name_bytes);
}

absl::string_view DocumentStore::TextOf(int64_t document) const {
  const DocumentRecord& record = records()[document];
  return text_->bytes().substr(record.offset + record.name_bytes,
                               record.text_bytes);
}

int64_t DocumentStore::TextBytes() const {
  return static_cast<int64_t>(text_->bytes().size());
}

}  // namespace lory::corpus
