#include "tools/corpus/document_index.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {
namespace {

// Keeps the sum of a place and a count within 63 bits.
constexpr uint64_t kMostTokens = (uint64_t{1} << 62) - 1;

}  // namespace

std::string SerializeIndexedDocument(const IndexedDocument& document) {
  nlohmann::ordered_json json = {{"id", document.id},
                                 {"name", document.name},
                                 {"domain", document.domain},
                                 {"first_token", document.first_token},
                                 {"token_count", document.token_count},
                                 {"similarity", nullptr}};
  if (document.pass > 0) json["pass"] = document.pass;
  // Rounded: for people, and the same wherever it is computed.
  if (document.similarity) {
    json["similarity"] =
        std::stod(absl::StrFormat("%.4f", *document.similarity));
  }
  return json.dump(-1, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

absl::StatusOr<IndexedDocument> ParseIndexedDocument(absl::string_view line) {
  const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr,
                                          /*allow_exceptions=*/false);
  const absl::Status damaged = absl::DataLossError("no document entry");
  if (!json.is_object()) return damaged;
  for (const char* key : {"id", "name", "domain"}) {
    if (!json.contains(key) || !json[key].is_string()) return damaged;
  }
  for (const char* key : {"first_token", "token_count"}) {
    if (!json.contains(key) || !json[key].is_number_unsigned() ||
        json[key].get<uint64_t>() > kMostTokens) {
      return damaged;
    }
  }
  IndexedDocument document;
  document.id = json["id"].get<std::string>();
  document.name = json["name"].get<std::string>();
  document.domain = json["domain"].get<std::string>();
  document.first_token = json["first_token"].get<int64_t>();
  document.token_count = json["token_count"].get<int64_t>();
  if (json.contains("pass")) {
    if (!json["pass"].is_number_unsigned() ||
        json["pass"].get<uint64_t>() > kMostTokens) {
      return damaged;
    }
    document.pass = json["pass"].get<int64_t>();
  }
  if (json.contains("similarity") && json["similarity"].is_number()) {
    document.similarity = json["similarity"].get<double>();
  }
  return document;
}

absl::StatusOr<std::vector<IndexedDocument>> ReadDocumentIndex(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> lines,
                        LineReader::Open(path));
  std::vector<IndexedDocument> documents;
  int64_t next = 0;
  while (true) {
    LORY_ASSIGN_OR_RETURN(const auto line, lines->Next());
    if (!line) return documents;
    const std::string where = absl::StrCat(path, ":", documents.size() + 1);
    absl::StatusOr<IndexedDocument> document = ParseIndexedDocument(*line);
    if (!document.ok()) return Annotate(document.status(), where);
    if (document->first_token != next) {
      return absl::DataLossError(
          absl::StrCat(where, ": begins at token ", document->first_token,
                       ", the one before ended at ", next));
    }
    next += document->token_count;
    documents.push_back(*std::move(document));
  }
}

}  // namespace lory::corpus
