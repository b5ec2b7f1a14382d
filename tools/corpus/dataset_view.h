#ifndef LORY_TOOLS_CORPUS_DATASET_VIEW_H_
#define LORY_TOOLS_CORPUS_DATASET_VIEW_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data/dataset_manifest.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

// `path` itself, or the manifest in it if it is a folder; absolute. What
// io::AbsolutePath says.
absl::StatusOr<std::string> ManifestPathOf(const std::string& path);
// Where the manifest at an absolute path lies.
std::string FolderOf(const std::string& manifest_path);

// A dataset as people look at it: manifest, documents in packed order and,
// while stages/ is there, the vectors of the documents. Immutable;
// thread-safe.
class DatasetView {
 public:
  // Takes the folder of a dataset, or its manifest. What ReadDatasetManifest
  // and ReadDocumentIndex say. DATA_LOSS: the documents are not those of as
  // many sequences as the manifest has.
  static absl::StatusOr<DatasetView> Open(const std::string& path);

  // Lets VectorOf be called. FAILED_PRECONDITION: stages/ was removed, or is
  // that of another build.
  absl::Status OpenVectors();

  const std::string& folder() const { return folder_; }
  const data::DatasetManifest& manifest() const { return manifest_; }
  const std::vector<IndexedDocument>& documents() const { return documents_; }

  int32_t dimensions() const { return dimensions_; }
  // Of the n-th document in packed order.
  const float* VectorOf(int64_t n) const {
    return vectors_->values().data() + int64_t{rows_[n]} * dimensions_;
  }

  // Documents [first, last) that reach into the context at a packed place.
  std::pair<int64_t, int64_t> DocumentsIn(int64_t place) const;
  int64_t context() const { return int64_t{manifest_.sequence_length} + 1; }

  // What a stage left; none: it is not there any more.
  std::optional<StageRecord> RecordOf(const std::string& stage) const;

 private:
  std::string folder_;
  data::DatasetManifest manifest_;
  std::vector<IndexedDocument> documents_;
  std::optional<ArrayFile<float>> vectors_;
  std::vector<int32_t> rows_;
  int32_t dimensions_ = 0;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_DATASET_VIEW_H_
