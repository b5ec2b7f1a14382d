#include "tools/corpus/output_guard.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/io/storage.h"
#include "tools/corpus/build_lock.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/pack.h"
#include "tools/corpus/tokenizer_stage.h"

namespace lory::corpus {
namespace {

namespace fs = std::filesystem;

constexpr char kStagesFolder[] = "stages";
constexpr size_t kShardDigits = 5;  // at least
constexpr char kPictureEnd[] = ".svg";

bool ConsumeShardEnd(absl::string_view* name) {
  return absl::ConsumeSuffix(name, ".bin") || absl::ConsumeSuffix(name, ".idx");
}

// train-00000.bin
bool IsTrainingShard(absl::string_view name) {
  return ConsumeShardEnd(&name) && absl::ConsumePrefix(&name, kTrainPrefix) &&
         name.size() >= kShardDigits &&
         std::all_of(name.begin(), name.end(), absl::ascii_isdigit);
}

bool IsHeldOutShard(absl::string_view name) {
  return ConsumeShardEnd(&name) && absl::ConsumePrefix(&name, kHeldOutPrefix) &&
         IsDomainName(name);
}

bool IsOneOfAKind(absl::string_view name) {
  return name == kManifestFile || name == kDocumentsFile ||
         name == kSequencesFile || name == kTokenizerFile ||
         name == kSentencePieceFile;
}

// Whether a build may write a file of this name.
bool IsDatasetFile(absl::string_view name) {
  return IsOneOfAKind(name) || IsTrainingShard(name) || IsHeldOutShard(name);
}

// Free of links as far as it is there.
fs::path Resolved(const std::string& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(path, error);
  if (error) resolved = fs::path(path).lexically_normal();
  return resolved.has_filename() ? resolved : resolved.parent_path();
}

// Whether `path` lies in `folder`, however deep, or is it.
bool IsBeneath(const fs::path& path, const fs::path& folder) {
  const auto [end, rest] =
      std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

// Whether a build whose output is `folder` may write to `path`.
bool IsOfBuild(const fs::path& path, const fs::path& folder) {
  return path == folder || IsBeneath(path, folder / kStagesFolder) ||
         (path.parent_path() == folder &&
          IsDatasetFile(path.filename().string()));
}

absl::Status CheckRead(const std::string& path, const std::string& output,
                       absl::string_view key) {
  const fs::path read = Resolved(path);
  const fs::path folder = Resolved(output);
  if (!IsOfBuild(read, folder)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      key, ": ", path, " is ", read == folder ? "the folder" : "a file",
      " that the build writes to (output is ", output,
      "): choose another output"));
}

// Whether a build wrote to the folder before.
bool HasBuild(const std::string& folder) {
  // The lock has the process of the last build.
  const auto lock =
      io::LocalStorage().Read(absl::StrCat(folder, "/", kLockFile));
  const absl::string_view holder =
      lock.ok() ? absl::StripAsciiWhitespace(*lock) : "";
  std::error_code error;
  return (!holder.empty() &&
          std::all_of(holder.begin(), holder.end(), absl::ascii_isdigit)) ||
         fs::exists(
             absl::StrCat(folder, "/", kStagesFolder, "/ingest/stage.json"),
             error) ||
         data::ReadDatasetManifest(absl::StrCat(folder, "/", kManifestFile))
             .ok();
}

}  // namespace

absl::Status CheckOutput(const CorpusSpec& spec) {
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    LORY_RETURN_IF_ERROR(CheckRead(spec.inputs[i].path, spec.output,
                                   absl::StrCat("inputs[", i, "].path")));
  }
  if (!spec.tokenizer_file.empty()) {
    LORY_RETURN_IF_ERROR(
        CheckRead(spec.tokenizer_file, spec.output, "tokenizer.file"));
  }
  if (!spec.encoder.model.empty()) {
    LORY_RETURN_IF_ERROR(
        CheckRead(spec.encoder.model, spec.output, "embed.model"));
  }
  std::error_code error;
  for (fs::directory_iterator at(spec.output, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!IsDatasetFile(name) && name != kStagesFolder) continue;
    if (HasBuild(spec.output)) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        at->path().string(),
        " is there, and no build of lory-corpus made it: "
        "it would be written over; move it or choose another output"));
  }
  return absl::OkStatus();  // what cannot be read is for the build to say
}

absl::Status CheckPicture(const std::string& path, const std::string& folder) {
  if (IsOfBuild(Resolved(path), Resolved(folder))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--output: ", path, " is the dataset's own: choose another file"));
  }
  if (absl::EndsWithIgnoreCase(path, kPictureEnd)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--output: ", path, " must end in ", kPictureEnd,
                   ": what is written is SVG and nothing else"));
}

absl::Status RemoveOldDataset(const std::string& folder) {
  io::Storage& storage = io::LocalStorage();
  const std::string manifest_path = absl::StrCat(folder, "/", kManifestFile);
  std::set<std::string> listed;
  const auto manifest = data::ReadDatasetManifest(manifest_path);
  if (manifest.ok()) {
    for (const data::HeldOutEntry& entry : manifest->held_out) {
      listed.insert(entry.shard.file + ".bin");
      listed.insert(entry.shard.file + ".idx");
    }
  }
  LORY_RETURN_IF_ERROR(storage.Remove(manifest_path));
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->is_directory(error)) continue;
    found.push_back(at->path().filename().string());
  }
  for (const std::string& name : found) {
    if (IsOneOfAKind(name) || IsTrainingShard(name) ||
        (IsHeldOutShard(name) && listed.contains(name)) ||
        absl::StartsWith(name, io::kTemporaryPrefix)) {
      LORY_RETURN_IF_ERROR(storage.Remove(absl::StrCat(folder, "/", name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace lory::corpus
