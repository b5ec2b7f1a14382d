// What lory-corpus left for itself: a line of documents.jsonl, and stage.json.
// What was read writes again, and reads as the same.
#include "common/base/hash.h"
#include "common/io/json_text.h"
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {
namespace {

using absl::StatusCode;

void CheckDocument(absl::string_view bytes) {
  const auto document = ParseIndexedDocument(bytes);
  fuzz::CheckError(document.status(), {StatusCode::kDataLoss});
  if (!document.ok()) return;
  LORY_CHECK(document->first_token >= 0 && document->token_count >= 0 &&
             document->pass >= 0);
  const std::string written = SerializeIndexedDocument(*document);
  LORY_CHECK(written.find('\n') == written.size() - 1);
  const auto again = ParseIndexedDocument(written);
  LORY_CHECK(again.ok());
  LORY_CHECK(SerializeIndexedDocument(*again) == written);
}

void CheckIndex(absl::string_view bytes) {
  const auto documents =
      ReadDocumentIndex(fuzz::Folder().Write("documents.jsonl", bytes));
  fuzz::CheckError(documents.status(), {StatusCode::kDataLoss});
  if (!documents.ok()) return;
  int64_t next = 0;
  for (const IndexedDocument& document : *documents) {
    LORY_CHECK(document.first_token == next && document.token_count >= 0);
    next += document.token_count;
  }
}

// The bytes with the hash that a record has of itself, if they are a record.
std::string WithOwnHash(absl::string_view bytes) {
  using Json = nlohmann::ordered_json;
  auto json = io::ParseJsonObject(bytes);
  if (!json.ok()) return std::string(bytes);
  json->erase("sha256");
  (*json)["sha256"] =
      Sha256Hex(json->dump(2, ' ', false, Json::error_handler_t::replace));
  return json->dump();
}

void CheckStage(absl::string_view bytes) {
  const auto record = ParseStageRecord(bytes, "/stages/a");
  fuzz::CheckError(record.status(), {StatusCode::kDataLoss});
  if (!record.ok()) return;
  const Stage stage = {.name = "a"};
  const auto again =
      ParseStageRecord(SerializeStageRecord(stage, *record), "/stages/a");
  LORY_CHECK(again.ok());
  LORY_CHECK(again->OutputHash() == record->OutputHash());
  LORY_CHECK(again->fingerprint == record->fingerprint);
  for (const auto& [figure, value] : record->figures) record->Count(figure);
}

}  // namespace

LORY_FUZZ(bytes) {
  CheckDocument(bytes);
  CheckIndex(bytes);
  CheckStage(bytes);
  CheckStage(WithOwnHash(bytes));
}

}  // namespace lory::corpus
