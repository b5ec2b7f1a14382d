#include "tools/corpus/dataset_view.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/absolute_path.h"
#include "common/io/storage.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/pack.h"

namespace lory::corpus {

absl::StatusOr<std::string> ManifestPathOf(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string whole, io::AbsolutePath(path));
  std::error_code error;
  return std::filesystem::is_directory(whole, error)
             ? absl::StrCat(whole, "/", kManifestFile)
             : whole;
}

std::string FolderOf(const std::string& manifest_path) {
  return std::filesystem::path(manifest_path).parent_path().string();
}

absl::StatusOr<DatasetView> DatasetView::Open(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string manifest_path, ManifestPathOf(path));
  DatasetView view;
  LORY_ASSIGN_OR_RETURN(view.manifest_,
                        data::ReadDatasetManifest(manifest_path));
  view.folder_ = FolderOf(manifest_path);
  LORY_ASSIGN_OR_RETURN(
      view.documents_,
      ReadDocumentIndex(absl::StrCat(view.folder_, "/", kDocumentsFile)));
  // Every context is packed full, and less than one is left over.
  const int64_t tokens = view.documents_.empty()
                             ? 0
                             : view.documents_.back().first_token +
                                   view.documents_.back().token_count;
  if (tokens / view.context() != view.manifest_.SequenceCount()) {
    return absl::DataLossError(absl::StrCat(
        manifest_path, " has ", view.manifest_.SequenceCount(),
        " sequences of ", view.context(), " tokens; the documents in ",
        kDocumentsFile, " fill ", tokens / view.context()));
  }
  return view;
}

absl::Status DatasetView::OpenVectors() {
  const std::string stages = absl::StrCat(folder_, "/stages");
  const absl::StatusOr<DocumentStore> store =
      DocumentStore::Open(absl::StrCat(stages, "/ingest"));
  auto vectors =
      ArrayFile<float>::Open(absl::StrCat(stages, "/embed/", kVectorsFile));
  if (!store.ok() || !vectors.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the vectors of the documents are not in ", stages,
        " any more: run lory-corpus build with its corpus.yaml again"));
  }
  absl::flat_hash_map<std::string, int32_t> rows;
  rows.reserve(store->count());
  for (int64_t i = 0; i < store->count(); ++i) {
    rows.emplace(ToHex(store->records()[i].id), static_cast<int32_t>(i));
  }
  rows_.clear();
  for (const IndexedDocument& document : documents_) {
    const auto row = rows.find(document.id);
    if (row == rows.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          stages, " is of another build than the dataset (document ",
          document.id, " is not in it): run lory-corpus build again"));
    }
    rows_.push_back(row->second);
  }
  dimensions_ = static_cast<int32_t>(
      static_cast<int64_t>(vectors->values().size()) / store->count());
  vectors_ = *std::move(vectors);
  return absl::OkStatus();
}

std::pair<int64_t, int64_t> DatasetView::DocumentsIn(int64_t place) const {
  const int64_t begin = place * context();
  const int64_t end = begin + context();
  auto first = std::upper_bound(
      documents_.begin(), documents_.end(), begin,
      [](int64_t at, const IndexedDocument& d) { return at < d.first_token; });
  if (first != documents_.begin()) --first;
  auto last = first;
  while (last != documents_.end() && last->first_token < end) ++last;
  return {first - documents_.begin(), last - documents_.begin()};
}

std::optional<StageRecord> DatasetView::RecordOf(
    const std::string& stage) const {
  const std::string folder = absl::StrCat(folder_, "/stages/", stage);
  const auto text =
      io::LocalStorage().Read(absl::StrCat(folder, "/stage.json"));
  if (!text.ok()) return std::nullopt;
  auto record = ParseStageRecord(*text, folder);
  if (!record.ok()) return std::nullopt;
  return *std::move(record);
}

}  // namespace lory::corpus
