#include "tools/loryctl/study_folder.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/study_results.h"

namespace lory::ctl {
namespace {

namespace fs = std::filesystem;
using ::lory::v1::Job;

constexpr char kTables[] = "results.md";
constexpr char kRows[] = "results.csv";
constexpr char kPicture[] = "results.svg";
// Most names of jobs in a message.
constexpr size_t kMostNames = 5;

absl::Status NotOurs(const std::string& path, const StudyFile& study) {
  return WithHint(absl::AlreadyExistsError(absl::StrCat(
                      path, " is not of the study ", study.name,
                      ": it is another study's, or was not written here, and "
                      "would be lost")),
                  "loryctl study report STUDY.yaml --to ANOTHER_FOLDER");
}

// Where in `text` what was written here begins and ends; nothing: there are no
// such marks, or not one of each.
std::optional<std::pair<size_t, size_t>> FindMarks(absl::string_view text) {
  const size_t begin = text.find(kStudyBegin);
  const size_t end = text.find(kStudyEnd);
  if (begin == text.npos || end == text.npos || end < begin ||
      text.rfind(kStudyBegin) != begin || text.rfind(kStudyEnd) != end) {
    return std::nullopt;
  }
  return std::pair(begin, end + absl::string_view(kStudyEnd).size());
}

// `text`, the whole of a new results.md, with what stands outside of the marks
// in `old`.
std::string WithOutsideOf(absl::string_view old, absl::string_view text) {
  const auto before = FindMarks(old);
  const auto now = FindMarks(text);
  if (!before || !now) return std::string(text);
  return absl::StrCat(old.substr(0, before->first),
                      text.substr(now->first, now->second - now->first),
                      old.substr(before->second));
}

// Whether `text`, of a results.md, begins with the study's title; editors may
// have changed how its lines end.
bool IsOf(const StudyFile& study, absl::string_view text) {
  const std::string title = StudyTitle(study);
  return absl::StripSuffix(text.substr(0, text.find('\n')), "\r") ==
         absl::StripSuffix(title, "\n");
}

// A name for what stood at `path`, which nothing has.
std::string NameOfOld(const std::string& path) {
  std::error_code error;
  std::string name = absl::StrCat(path, ".before");
  for (int i = 2; fs::exists(name, error); ++i) {
    name = absl::StrCat(path, ".before-", i);
  }
  return name;
}

// Jobs that succeeded, by what results.csv says of them.
std::set<std::string> SucceededIn(const std::string& csv) {
  std::set<std::string> names;
  for (const absl::string_view row : absl::StrSplit(csv, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(row, ',');
    if (fields.size() > 3 && fields[3] == Job::State_Name(Job::SUCCEEDED)) {
      names.emplace(fields[2]);
    }
  }
  return names;
}

// OK, or which results of `csv` the jobs do not have.
absl::Status CheckNothingIsLost(const std::string& path, const std::string& csv,
                                const std::vector<StudyJob>& jobs) {
  const std::set<std::string> before = SucceededIn(csv);
  std::set<std::string> now;
  for (const StudyJob& job : jobs) {
    if (job.job.state() == Job::SUCCEEDED) now.insert(job.file.name);
  }
  std::vector<std::string> lost;
  std::set_difference(before.begin(), before.end(), now.begin(), now.end(),
                      std::back_inserter(lost));
  if (lost.empty()) return absl::OkStatus();
  const size_t count = lost.size();
  lost.resize(std::min(count, kMostNames));
  return WithHint(
      absl::FailedPreconditionError(absl::StrCat(
          path, " has results of ", before.size(), " jobs, of ", count,
          " of which the coordinator has none now (", absl::StrJoin(lost, ", "),
          count > lost.size() ? ", ..." : "", "): it was left as it is")),
      "--to ANOTHER_FOLDER for what is there now; --force to give the old "
      "results up");
}

// OK, or that tables stand at `path` of which no rows tell what would be lost.
// Where all jobs have succeeded, nothing is.
absl::Status CheckTablesAreWhole(const std::string& path,
                                 const std::vector<StudyJob>& jobs) {
  const bool all_succeeded = std::all_of(
      jobs.begin(), jobs.end(),
      [](const StudyJob& job) { return job.job.state() == Job::SUCCEEDED; });
  if (all_succeeded) return absl::OkStatus();
  return WithHint(
      absl::FailedPreconditionError(absl::StrCat(
          path, " stands there without ", kRows,
          ", so that nobody can tell whether it has results of jobs that the "
          "coordinator has no more: it was left as it is")),
      "--to ANOTHER_FOLDER for what is there now; --force to give the old "
      "results up");
}

}  // namespace

std::string StudyFolder(const StudyFile& study, const std::string& to) {
  return fs::absolute(to.empty() ? fs::path(study.path).parent_path() /
                                       absl::StrCat(study.name, ".results")
                                 : fs::path(to))
      .string();
}

absl::Status CheckStudyFolder(const std::string& folder,
                              const StudyFile& study) {
  io::Storage& storage = io::LocalStorage();
  const std::string tables = absl::StrCat(folder, "/", kTables);
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_directory(folder, error)) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat(
            folder, " is a file, where a folder of results belongs")),
        "--to FOLDER");
  }
  if (fs::exists(tables, error)) {
    LORY_ASSIGN_OR_RETURN(const std::string text, storage.Read(tables));
    return IsOf(study, text) ? absl::OkStatus() : NotOurs(tables, study);
  }
  // The tables are written first.
  for (const char* name : {kRows, kPicture}) {
    const std::string path = absl::StrCat(folder, "/", name);
    if (fs::exists(path, error)) return NotOurs(path, study);
  }
  return absl::OkStatus();
}

absl::Status MakeStudyFolder(const std::string& folder) {
  // What is never committed leaves nothing behind.
  const auto file =
      io::LocalStorage().Create(absl::StrCat(folder, "/", kTables));
  return WithHint(file.status(), "--to FOLDER, which can be written");
}

absl::StatusOr<std::string> WriteStudyFolder(const std::string& folder,
                                             const StudyFile& study,
                                             const std::vector<StudyJob>& jobs,
                                             const std::string& time,
                                             bool force) {
  LORY_RETURN_IF_ERROR(CheckStudyFolder(folder, study));
  io::Storage& storage = io::LocalStorage();
  const std::string tables = absl::StrCat(folder, "/", kTables);
  const std::string rows = absl::StrCat(folder, "/", kRows);
  const std::string picture = absl::StrCat(folder, "/", kPicture);
  std::error_code error;
  if (!force && fs::exists(rows, error)) {
    LORY_ASSIGN_OR_RETURN(const std::string csv, storage.Read(rows));
    LORY_RETURN_IF_ERROR(CheckNothingIsLost(rows, csv, jobs));
  } else if (!force && fs::exists(tables, error)) {
    LORY_RETURN_IF_ERROR(CheckTablesAreWhole(tables, jobs));
  }
  const std::string plot = StudyPlot(study, jobs);
  std::string old, kept;
  if (fs::exists(tables, error)) {
    LORY_ASSIGN_OR_RETURN(old, storage.Read(tables));
    if (!FindMarks(old)) {
      kept = NameOfOld(tables);
      LORY_RETURN_IF_ERROR(storage.Write(kept, old));
    }
  }
  LORY_RETURN_IF_ERROR(storage.Write(
      tables, WithOutsideOf(old, StudyMarkdown(study, jobs, time))));
  LORY_RETURN_IF_ERROR(storage.Write(rows, StudyCsv(study, jobs)));
  LORY_RETURN_IF_ERROR(plot.empty() ? storage.Remove(picture)
                                    : storage.Write(picture, plot));
  return kept;
}

}  // namespace lory::ctl
