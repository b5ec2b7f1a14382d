#include "tools/verify/job_history.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace lory::verify {
namespace {

using ::lory::internal::v1::JournalRecord;
using ::lory::v1::Checkpoint;
using ::lory::v1::Job;

// Adds one record of the job to `history`.
void Collect(const JournalRecord& record, RecordIndex at, JobHistory& history) {
  const std::string& job = history.name;
  if (record.has_job_state_changed() &&
      record.job_state_changed().job() == job) {
    history.states.push_back({at, record.job_state_changed().state()});
  } else if (record.has_job_spec_changed() &&
             record.job_spec_changed().job() == job) {
    history.specs.push_back(record.job_spec_changed().spec());
  } else if (record.has_generation_opened() &&
             record.generation_opened().job() == job) {
    history.openings.push_back({at, record.generation_opened().generation()});
  } else if (record.has_generation_started() &&
             record.generation_started().job() == job) {
    history.starts.push_back({at, record.generation_started()});
  } else if (record.has_generation_ended() &&
             record.generation_ended().job() == job) {
    const auto& ended = record.generation_ended();
    history.ends.push_back({at, ended.generation(), ended.by_fault()});
  } else if (record.has_checkpoint_committed() &&
             record.checkpoint_committed().job() == job) {
    history.commits.push_back({at, record.checkpoint_committed().checkpoint()});
  } else if (record.has_checkpoint_state_changed()) {
    const auto& change = record.checkpoint_state_changed();
    absl::string_view step = change.name();
    int64_t number = 0;
    if (absl::ConsumePrefix(&step, absl::StrCat(job, "/checkpoints/")) &&
        absl::SimpleAtoi(step, &number)) {
      history.checkpoint_changes.push_back(
          {at, number, change.state(), change.reason()});
    }
  }
}

JobHistory CreatedBy(const Job& job, RecordIndex at) {
  JobHistory history;
  history.name = job.name();
  history.specs.push_back(job.spec());
  history.states.push_back({at, job.state()});
  history.generations_before = job.generation();
  return history;
}

// Of an earlier job of the name, and those before it.
int64_t LastGeneration(const JobHistory& earlier) {
  if (earlier.name.empty()) return 0;
  int64_t last = std::max<int64_t>(earlier.generations_of_deleted, 1);
  for (const GenerationOpening& opening : earlier.openings) {
    last = std::max(last, opening.generation);
  }
  return last;
}

}  // namespace

const GenerationStart* JobHistory::StartOf(int64_t generation) const {
  for (const GenerationStart& start : starts) {
    if (start.event.generation() == generation) return &start;
  }
  return nullptr;
}

int64_t JobHistory::FencedFrom(int64_t generation) const {
  int64_t fence = INT64_MAX;
  for (const GenerationStart& start : starts) {
    if (start.event.generation() > generation) {
      fence = std::min<int64_t>(fence, start.event.start_step());
    }
  }
  return fence;
}

std::map<int64_t, Checkpoint> JobHistory::CommittedAt(RecordIndex at) const {
  std::map<int64_t, std::pair<RecordIndex, Checkpoint>> latest;
  for (const CheckpointCommit& commit : commits) {
    if (commit.at > at) continue;
    latest[commit.checkpoint.step()] = {commit.at, commit.checkpoint};
    latest[commit.checkpoint.step()].second.set_state(Checkpoint::COMMITTED);
  }
  for (const CheckpointChange& change : checkpoint_changes) {
    const auto found = latest.find(change.step);
    if (change.at > at || found == latest.end()) continue;
    if (change.at > found->second.first) {
      found->second.second.set_state(change.state);
    }
  }
  std::map<int64_t, Checkpoint> committed;
  for (auto& [step, entry] : latest) {
    if (entry.second.state() == Checkpoint::COMMITTED) {
      committed.emplace(step, std::move(entry.second));
    }
  }
  return committed;
}

int64_t JobHistory::RecoveryCount() const {
  return std::count_if(ends.begin(), ends.end(), [&](const auto& end) {
    return end.by_fault && StartOf(end.generation) != nullptr;
  });
}

absl::StatusOr<JobHistory> CollectHistory(
    const std::vector<JournalRecord>& records, absl::string_view job) {
  const std::string name = absl::StartsWith(job, "jobs/")
                               ? std::string(job)
                               : absl::StrCat("jobs/", job);
  JobHistory history;
  std::set<std::string> others;
  std::map<std::string, lory::v1::Dataset> datasets;
  for (size_t i = 0; i < records.size(); ++i) {
    const JournalRecord& record = records[i];
    if (record.has_dataset_created()) {
      const auto& dataset = record.dataset_created().dataset();
      datasets[dataset.name()] = dataset;
      // The same content, registered where it lies now.
      if (dataset.name() == history.dataset.name() &&
          dataset.manifest_sha256() == history.dataset.manifest_sha256()) {
        history.dataset = dataset;
      }
    } else if (record.has_job_created()) {
      const Job& created = record.job_created().job();
      if (created.name() == name) {
        const int64_t deleted = LastGeneration(history);
        history = CreatedBy(created, static_cast<RecordIndex>(i));
        history.generations_of_deleted = deleted;
        history.dataset = datasets[created.spec().dataset()];
      } else {
        others.insert(created.name());
      }
    } else if (!history.name.empty()) {
      Collect(record, static_cast<RecordIndex>(i), history);
    }
  }
  if (history.name.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "the journal has no ", name, "; it has ",
        others.empty() ? "no job at all" : absl::StrJoin(others, ", ")));
  }
  return history;
}

}  // namespace lory::verify
