#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "coordinator/engine/coordinator.h"
#include "coordinator/engine/page_token.h"
#include "coordinator/state/job_state.h"
#include "coordinator/state/names.h"

// The coordinator's half for datasets.
namespace lory::coordinator {
namespace {

using ::lory::v1::Dataset;
using Record = Journal::Record;

absl::Status NoDataset(const std::string& name) {
  return ErrorWithReason(absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
                         absl::StrCat("no dataset '", name,
                                      "'; `loryctl dataset list` shows all"));
}

// The coordinator holds a manifest in memory; a shard, named in its place by
// mistake, may be larger than that.
constexpr int64_t kManifestBytes = 64 << 20;

absl::StatusOr<std::string> ReadManifest(io::Storage& storage,
                                         const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const int64_t size, storage.Size(path));
  if (size > kManifestBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, " has ", size, " bytes; a manifest has at most ", kManifestBytes,
        ". Name the manifest.json that lory-corpus wrote"));
  }
  return storage.Read(path);
}

absl::Status CheckShard(io::Storage& storage, const std::string& folder,
                        const data::ShardEntry& shard) {
  const std::string bin = absl::StrCat(folder, "/", shard.file, ".bin");
  LORY_ASSIGN_OR_RETURN(const int64_t size, storage.Size(bin));
  if (size != shard.bin_bytes) {
    return ErrorWithReason(
        absl::StatusCode::kInvalidArgument, "SHARD_SIZE",
        absl::StrCat(bin, " has ", size, " bytes, the manifest says ",
                     shard.bin_bytes));
  }
  return storage.Size(absl::StrCat(folder, "/", shard.file, ".idx")).status();
}

absl::Status WithReason(const absl::Status& status) {
  if (status.ok() || !ReasonOf(status).empty()) return status;
  const char* reason = absl::IsNotFound(status)           ? "FILE_NOT_FOUND"
                       : absl::IsPermissionDenied(status) ? "OUTSIDE_DATA_ROOTS"
                                                          : "MANIFEST_INVALID";
  return ErrorWithReason(status.code(), reason, status.message());
}

}  // namespace

absl::StatusOr<Dataset> Coordinator::ReadDataset(
    const std::string& path) const {
  if (path.empty()) return FieldErrors({{"manifest_path", "is empty"}});
  LORY_ASSIGN_OR_RETURN(const std::string resolved,
                        io::ResolveBeneath(path, options_.data_roots));
  LORY_ASSIGN_OR_RETURN(const std::string text,
                        ReadManifest(storage_, resolved));
  LORY_ASSIGN_OR_RETURN(const data::DatasetManifest manifest,
                        data::ParseDatasetManifest(text));
  const std::string folder = resolved.substr(0, resolved.rfind('/'));
  Dataset dataset;
  for (const data::ShardEntry& shard : manifest.shards) {
    LORY_RETURN_IF_ERROR(CheckShard(storage_, folder, shard));
  }
  for (const data::HeldOutEntry& entry : manifest.held_out) {
    LORY_RETURN_IF_ERROR(CheckShard(storage_, folder, entry.shard));
    dataset.add_domains(entry.domain);
  }
  const std::string tokenizer =
      absl::StrCat(folder, "/", manifest.tokenizer_file);
  LORY_ASSIGN_OR_RETURN(
      const std::string tokenizer_sha256,
      storage_.Sha256Hex(tokenizer, /*stop=*/{}, /*progress=*/nullptr));
  if (tokenizer_sha256 != manifest.tokenizer_sha256) {
    return ErrorWithReason(
        absl::StatusCode::kInvalidArgument, "TOKENIZER_MISMATCH",
        absl::StrCat(tokenizer, " is not the tokenizer that the shards were ",
                     "made with: its SHA-256 is ", tokenizer_sha256,
                     ", the manifest says ", manifest.tokenizer_sha256,
                     "; put the right one there, or build the dataset again"));
  }
  if (manifest.SequenceCount() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(resolved, " has no training sequences"));
  }
  dataset.set_state(Dataset::READY);
  dataset.set_reason("the manifest and all shards are there");
  dataset.set_manifest_path(resolved);
  dataset.set_manifest_sha256(Sha256Hex(text));
  dataset.set_sequence_length(manifest.sequence_length);
  dataset.set_sequence_count(manifest.SequenceCount());
  dataset.set_token_count(manifest.token_count);
  dataset.set_document_count(manifest.document_count);
  dataset.set_vocabulary_size(manifest.vocabulary_size);
  dataset.set_tokenizer_sha256(manifest.tokenizer_sha256);
  dataset.set_order(manifest.order);
  return dataset;
}

Dataset Coordinator::LookAtDataset(Dataset dataset) const {
  const auto text = ReadManifest(storage_, dataset.manifest_path());
  if (!text.ok()) {
    dataset.set_state(Dataset::MISSING);
    dataset.set_reason(absl::StrCat(text.status().message(),
                                    "; put it back, or tell where it is now "
                                    "with `loryctl dataset register ",
                                    dataset.name().substr(kDatasets.size()),
                                    " NEW_FOLDER/manifest.json`"));
  } else if (Sha256Hex(*text) != dataset.manifest_sha256()) {
    dataset.set_state(Dataset::MISSING);
    dataset.set_reason(absl::StrCat(dataset.manifest_path(),
                                    " differs from what was registered"));
  }
  return dataset;
}

absl::StatusOr<Dataset> Coordinator::CreateDataset(
    const lory::v1::CreateDatasetRequest& request) {
  constexpr absl::string_view kMethod = "CreateDataset";
  LORY_RETURN_IF_ERROR(CheckId(request.dataset_id(), "dataset_id"));
  const std::string name = absl::StrCat(kDatasets, request.dataset_id());
  absl::StatusOr<Dataset> read = ReadDataset(request.manifest_path());

  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                        FindAnswered(kMethod, request, request.request_id()));
  const auto known = state_.datasets.find(name);
  if (answered && known != state_.datasets.end()) return known->second;
  if (!read.ok()) return WithReason(read.status());
  if (known != state_.datasets.end()) {
    if (known->second.manifest_sha256() == read->manifest_sha256()) {
      if (known->second.manifest_path() == read->manifest_path()) {
        return known->second;
      }
      return MoveDataset(request, known->second, read->manifest_path());
    }
    return ErrorWithReason(
        absl::StatusCode::kAlreadyExists, "DATASET_EXISTS",
        absl::StrCat(name, " is registered with ",
                     known->second.manifest_path(),
                     " and another content; choose another name"));
  }
  read->set_name(name);
  *read->mutable_create_time() = TimestampOf(clock_.WallNow());
  Record record;
  *record.mutable_dataset_created()->mutable_dataset() = *read;
  LORY_RETURN_IF_ERROR(CommitCall(kMethod, request, request.request_id(), name,
                                  {std::move(record)}));
  return *read;
}

absl::StatusOr<Dataset> Coordinator::MoveDataset(
    const lory::v1::CreateDatasetRequest& request, Dataset dataset,
    const std::string& path) {
  dataset.set_manifest_path(path);
  std::vector<Record> records(2);
  records[0].mutable_dataset_deleted()->set_dataset(dataset.name());
  *records[1].mutable_dataset_created()->mutable_dataset() = dataset;
  LORY_RETURN_IF_ERROR(CommitCall("CreateDataset", request,
                                  request.request_id(), dataset.name(),
                                  std::move(records)));
  sessions_.missing_datasets.erase(dataset.name());
  return dataset;
}

absl::StatusOr<Dataset> Coordinator::GetDataset(const std::string& name) {
  Dataset dataset;
  {
    MutexLock lock(&mutex_);
    const auto found = state_.datasets.find(name);
    if (found == state_.datasets.end()) return NoDataset(name);
    dataset = found->second;
  }
  return LookAtDataset(std::move(dataset));
}

absl::StatusOr<lory::v1::ListDatasetsResponse> Coordinator::ListDatasets(
    const lory::v1::ListDatasetsRequest& request) {
  LORY_ASSIGN_OR_RETURN(
      const PageRequest page,
      ReadPage("datasets", request.page_size(), request.page_token(), 50, 500));
  lory::v1::ListDatasetsResponse response;
  {
    MutexLock lock(&mutex_);
    for (auto it = state_.datasets.upper_bound(page.after);
         it != state_.datasets.end(); ++it) {
      if (response.datasets_size() == page.size) {
        response.set_next_page_token(
            MakePageToken("datasets", response.datasets(page.size - 1).name()));
        break;
      }
      *response.add_datasets() = it->second;
    }
  }
  for (Dataset& dataset : *response.mutable_datasets()) {
    dataset = LookAtDataset(std::move(dataset));
  }
  return response;
}

absl::StatusOr<Dataset> Coordinator::DeleteDataset(
    const lory::v1::DeleteDatasetRequest& request) {
  constexpr absl::string_view kMethod = "DeleteDataset";
  MutexLock lock(&mutex_);
  LORY_ASSIGN_OR_RETURN(const std::optional<std::string> answered,
                        FindAnswered(kMethod, request, request.request_id()));
  Dataset dataset;
  dataset.set_name(request.name());
  if (answered) return dataset;
  const auto found = state_.datasets.find(request.name());
  if (found == state_.datasets.end()) return NoDataset(request.name());
  for (const auto& [name, job] : state_.jobs) {
    if (job.spec.dataset() != request.name() || IsFinal(job.state)) continue;
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition,
                           "DATASET_IN_USE",
                           absl::StrCat(name, " uses ", request.name(),
                                        "; cancel it or let it end first"));
  }
  dataset = found->second;
  Record record;
  record.mutable_dataset_deleted()->set_dataset(request.name());
  LORY_RETURN_IF_ERROR(CommitCall(kMethod, request, request.request_id(),
                                  request.name(), {std::move(record)}));
  return dataset;
}

}  // namespace lory::coordinator
