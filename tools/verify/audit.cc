#include "tools/verify/audit.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/data/checkpoint_manifest.h"
#include "common/data/dataset.h"
#include "common/io/storage.h"
#include "tools/verify/checkpoint_files.h"
#include "tools/verify/history_checks.h"
#include "tools/verify/journal_reader.h"
#include "tools/verify/sample_audit.h"

namespace lory::verify {
namespace {

namespace fs = std::filesystem;

// <storage root>/jobs/<job>: holds trace/ and checkpoints/.
absl::StatusOr<std::string> JobFolder(const RunOptions& options,
                                      const JobHistory& history) {
  if (!options.storage_root.empty()) {
    return absl::StrCat(options.storage_root, "/", history.name);
  }
  for (const CheckpointCommit& commit : history.commits) {
    const fs::path folder(commit.checkpoint.folder());
    if (folder.is_absolute()) {
      return folder.parent_path().parent_path().string();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the journal knows no checkpoint of ", history.name,
                   ", so its folder is unknown: give --storage-root"));
}

Verdict CheckDataset(const RunOptions& options, const JobHistory& history) {
  const lory::v1::Dataset& dataset = history.dataset;
  Verdict verdict("the dataset is the registered one");
  const std::string path = options.dataset_manifest.empty()
                               ? dataset.manifest_path()
                               : options.dataset_manifest;
  const auto text = io::LocalStorage().Read(path);
  if (!text.ok()) {
    verdict.Fail(std::string(text.status().message()));
    return verdict;
  }
  if (Sha256Hex(*text) != dataset.manifest_sha256()) {
    verdict.Fail(absl::StrCat(path, " is not the manifest registered as ",
                              history.spec().dataset()));
  }
  const auto manifest = data::ParseDatasetManifest(*text);
  if (!manifest.ok()) {
    verdict.Fail(absl::StrCat(path, ": ", manifest.status().message()));
  } else if (manifest->SequenceCount() != dataset.sequence_count()) {
    verdict.Fail(absl::StrCat(path, " has ", manifest->SequenceCount(),
                              " sequences; registered were ",
                              dataset.sequence_count()));
  }
  return verdict;
}

void CheckFiles(const JobHistory& history, const std::string& job_folder,
                Report& report) {
  Verdict whole("the files of every committed checkpoint are whole");
  Verdict loads("the newest committed checkpoint loads");
  const auto committed = history.CommittedAt();
  const auto folder_of = [&](const lory::v1::Checkpoint& checkpoint) {
    return absl::StrCat(job_folder, "/checkpoints/",
                        fs::path(checkpoint.folder()).filename().string());
  };
  for (const CheckpointChange& change : history.checkpoint_changes) {
    if (change.state != lory::v1::Checkpoint::DAMAGED) continue;
    whole.Note(absl::StrCat("the checkpoint of step ", change.step,
                            " was found damaged: ", change.reason));
  }
  for (const auto& [step, checkpoint] : committed) {
    CheckParts(checkpoint, folder_of(checkpoint), whole);
    CheckManifest(checkpoint, folder_of(checkpoint), whole);
  }
  if (committed.empty()) {
    loads.Note("the job has none");
  } else {
    const auto& newest = committed.rbegin()->second;
    CheckLoads(newest, history.spec(), folder_of(newest), loads);
  }
  report.verdicts.push_back(std::move(whole));
  report.verdicts.push_back(std::move(loads));
}

}  // namespace

absl::StatusOr<Report> AuditRun(const RunOptions& options) {
  LORY_ASSIGN_OR_RETURN(const auto records, ReadJournal(options.state_folder));
  LORY_ASSIGN_OR_RETURN(const JobHistory history,
                        CollectHistory(records, options.job));
  LORY_ASSIGN_OR_RETURN(const SampleGrid grid, GridOf(history));
  LORY_ASSIGN_OR_RETURN(const std::string folder, JobFolder(options, history));

  Report report;
  report.subject = absl::StrCat(history.name, ", ",
                                lory::v1::Job::State_Name(history.state()));
  report.generations = static_cast<int64_t>(history.starts.size());
  report.recoveries = history.RecoveryCount();
  report.verdicts.push_back(CheckStates(history));
  report.verdicts.push_back(CheckSpec(history));
  report.verdicts.push_back(CheckGenerations(history));
  report.verdicts.push_back(CheckDataset(options, history));

  Trace trace;
  // A job that never started a generation has nothing to have traced.
  if (!history.starts.empty()) {
    LORY_ASSIGN_OR_RETURN(trace, ReadTrace(absl::StrCat(folder, "/trace")));
  }
  SampleAudit audit = AuditSamples(history, grid, trace);
  for (Verdict& verdict : audit.verdicts) {
    report.verdicts.push_back(std::move(verdict));
  }
  report.steps = audit.steps;
  report.samples_lost = audit.lost;
  report.samples_repeated = audit.repeated;
  report.verdicts.push_back(CheckCheckpointDigests(history, audit.chain));
  CheckFiles(history, folder, report);
  return report;
}

absl::StatusOr<Report> AuditCheckpoint(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/manifest.json");
  LORY_ASSIGN_OR_RETURN(const std::string text, io::LocalStorage().Read(path));
  auto manifest = data::ParseCheckpointManifest(text);
  if (!manifest.ok()) return Annotate(manifest.status(), path);
  Report report;
  report.subject = absl::StrCat(manifest->checkpoint.name(), " of generation ",
                                manifest->checkpoint.generation());
  Verdict whole("its files are whole");
  CheckParts(manifest->checkpoint, folder, whole);
  Verdict loads("it loads");
  CheckLoads(manifest->checkpoint, manifest->spec, folder, loads);
  report.verdicts = {std::move(whole), std::move(loads)};
  return report;
}

absl::StatusOr<Report> AuditDataset(const std::string& folder) {
  const std::string path = fs::path(folder).filename() == "manifest.json"
                               ? folder
                               : absl::StrCat(folder, "/manifest.json");
  LORY_ASSIGN_OR_RETURN(const data::DatasetManifest manifest,
                        data::ReadDatasetManifest(path));
  Report report;
  report.subject = absl::StrCat("dataset ", manifest.name, ", ",
                                manifest.SequenceCount(), " sequences");
  Verdict whole("its shards are whole");
  const auto dataset = data::Dataset::Open(path, /*verify_hashes=*/true);
  if (!dataset.ok()) whole.Fail(std::string(dataset.status().message()));
  Verdict tokenizer("its tokenizer is the one it was made with");
  const auto hash = io::FileSha256Hex(
      (fs::path(path).parent_path() / manifest.tokenizer_file).string());
  if (!hash.ok()) {
    tokenizer.Fail(std::string(hash.status().message()));
  } else if (*hash != manifest.tokenizer_sha256) {
    tokenizer.Fail(absl::StrCat(manifest.tokenizer_file, " is altered"));
  }
  report.verdicts = {std::move(whole), std::move(tokenizer)};
  return report;
}

}  // namespace lory::verify
