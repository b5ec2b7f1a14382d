#include "tools/verify/journal_reader.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"

namespace lory::verify {
namespace {

namespace fs = std::filesystem;
using ::lory::internal::v1::JournalRecord;

// The layout this reader knows, as the coordinator writes it into
// user_version: journal(number INTEGER PRIMARY KEY, record BLOB, checksum).
constexpr int kLayout = 1;
constexpr int kCopyAttempts = 20;
const char* const kFiles[] = {"journal.db", "journal.db-wal"};

// What changes when a file is written to.
std::string StampOf(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return "none";
  return absl::StrCat(info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec,
                      ".", info.st_mtim.tv_nsec);
}

std::string StampsOf(const std::string& folder) {
  std::string stamps;
  for (const char* file : kFiles) {
    absl::StrAppend(&stamps, StampOf(absl::StrCat(folder, "/", file)), ";");
  }
  return stamps;
}

// Copies database and write-ahead log as they stand between two appends: the
// coordinator holds the original locked for as long as it runs.
absl::Status CopyJournal(const std::string& from, const std::string& to) {
  std::error_code missing;
  if (!fs::exists(absl::StrCat(from, "/", kFiles[0]), missing)) {
    return absl::NotFoundError(
        absl::StrCat("no journal.db in ", from,
                     ": give the folder that lory-coordinator has as --state"));
  }
  for (int attempt = 0; attempt < kCopyAttempts; ++attempt) {
    const std::string before = StampsOf(from);
    for (const char* file : kFiles) {
      const std::string source = absl::StrCat(from, "/", file);
      const std::string target = absl::StrCat(to, "/", file);
      std::error_code error;
      fs::remove(target, error);
      if (!fs::exists(source, error)) continue;
      fs::copy_file(source, target, error);
      if (error) {
        return io::ErrnoStatus(error.value(), absl::StrCat("copying ", source));
      }
    }
    if (StampsOf(from) == before) return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat("the journal in ", from, " never stood still; try again"));
}

absl::Status SqliteError(sqlite3* database, absl::string_view doing) {
  return absl::DataLossError(
      absl::StrCat(doing, ": ", sqlite3_errmsg(database)));
}

absl::Status CheckLayout(sqlite3* database) {
  sqlite3_stmt* statement = nullptr;
  const absl::Cleanup finalize = [&] { sqlite3_finalize(statement); };
  if (sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &statement,
                         nullptr) != SQLITE_OK ||
      sqlite3_step(statement) != SQLITE_ROW) {
    return SqliteError(database, "reading the journal's layout");
  }
  const int layout = sqlite3_column_int(statement, 0);
  if (layout == kLayout) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the journal has layout ", layout, "; this program knows ",
                   kLayout, ": use the lory-verify of that release"));
}

absl::StatusOr<JournalRecord> RecordOf(sqlite3_stmt* row, int64_t expected) {
  const int64_t number = sqlite3_column_int64(row, 0);
  if (number != expected) {
    return absl::DataLossError(
        absl::StrCat("record ", expected, " is missing; ", number, " follows"));
  }
  const absl::string_view bytes(
      static_cast<const char*>(sqlite3_column_blob(row, 1)),
      sqlite3_column_bytes(row, 1));
  const uint64_t checksum = FastHash64(bytes.data(), bytes.size());
  if (static_cast<int64_t>(checksum) != sqlite3_column_int64(row, 2)) {
    return absl::DataLossError(absl::StrCat("record ", number, " is altered"));
  }
  JournalRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(
        absl::StrCat("record ", number, " is no record"));
  }
  return record;
}

absl::StatusOr<std::vector<JournalRecord>> ReadRecords(
    const std::string& path) {
  sqlite3* database = nullptr;
  const absl::Cleanup close = [&] { sqlite3_close(database); };
  if (sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE,
                      nullptr) != SQLITE_OK) {
    return SqliteError(database, "opening the journal");
  }
  LORY_RETURN_IF_ERROR(CheckLayout(database));
  sqlite3_stmt* select = nullptr;
  const absl::Cleanup finalize = [&] { sqlite3_finalize(select); };
  if (sqlite3_prepare_v2(
          database, "SELECT number, record, checksum FROM journal ORDER BY 1",
          -1, &select, nullptr) != SQLITE_OK) {
    return SqliteError(database, "reading the journal");
  }
  std::vector<JournalRecord> records;
  int result;
  while ((result = sqlite3_step(select)) == SQLITE_ROW) {
    LORY_ASSIGN_OR_RETURN(
        JournalRecord record,
        RecordOf(select, static_cast<int64_t>(records.size()) + 1));
    records.push_back(std::move(record));
  }
  if (result != SQLITE_DONE) return SqliteError(database, "reading a record");
  return records;
}

}  // namespace

absl::StatusOr<std::vector<JournalRecord>> ReadJournal(
    const std::string& state_folder) {
  std::error_code error;
  const fs::path temporary = fs::temp_directory_path(error);
  if (error) {
    return io::ErrnoStatus(error.value(), "finding a folder for copies");
  }
  std::string copy = absl::StrCat(temporary.string(), "/lory-verify-XXXXXX");
  if (::mkdtemp(copy.data()) == nullptr) {
    return io::ErrnoStatus(errno, absl::StrCat("making ", copy));
  }
  const absl::Cleanup remove = [&] {
    std::error_code ignored;
    fs::remove_all(copy, ignored);
  };
  LORY_RETURN_IF_ERROR(CopyJournal(state_folder, copy));
  auto records = ReadRecords(absl::StrCat(copy, "/", kFiles[0]));
  if (!records.ok()) return Annotate(records.status(), state_folder);
  return records;
}

}  // namespace lory::verify
