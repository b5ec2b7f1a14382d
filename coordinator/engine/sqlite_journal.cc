#include "coordinator/engine/sqlite_journal.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"

namespace lory::coordinator {
namespace {

// "Lory" in the file's header, so that no other database is taken for ours.
constexpr int kApplicationId = 0x4c6f7279;

int64_t ChecksumOf(absl::string_view bytes) {
  return static_cast<int64_t>(FastHash64(bytes.data(), bytes.size()));
}

// Makes the file if it is not there, and keeps others from reading it: the
// journal holds the secrets of collectives. SQLite gives its side files the
// mode of the database.
absl::Status MakePrivate(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const absl::Cleanup close = [&] {
    if (fd >= 0) ::close(fd);
  };
  if (fd >= 0 && ::fchmod(fd, 0600) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "cannot close ", path, " to others: ", std::strerror(errno)));
}

// A folder of the journal's own is closed to others. One that holds other
// things, or belongs to another user, stays as it is: the files are private.
absl::Status CloseFolder(const std::string& folder) {
  constexpr absl::string_view kOurs[] = {"lock", "journal.db", "journal.db-wal",
                                         "journal.db-shm"};
  std::error_code error;
  bool is_ours = true;
  for (std::filesystem::directory_iterator at(folder, error), end;
       !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    is_ours &=
        std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs);
  }
  if (error || !is_ours || ::chmod(folder.c_str(), 0700) == 0 ||
      errno == EPERM) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat(
      "cannot close ", folder, " to others: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteJournal>> SqliteJournal::Open(
    const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InternalError(
        absl::StrCat("making ", folder, ": ", error.message()));
  }
  auto journal = std::unique_ptr<SqliteJournal>(new SqliteJournal);
  const std::string file = absl::StrCat(folder, "/journal.db");
  LORY_RETURN_IF_ERROR(CloseFolder(folder));
  LORY_RETURN_IF_ERROR(journal->Lock(folder));
  LORY_RETURN_IF_ERROR(MakePrivate(file));
  const std::string log = absl::StrCat(file, "-wal");
  if (std::filesystem::exists(log, error)) {
    LORY_RETURN_IF_ERROR(MakePrivate(log));
  }
  LORY_RETURN_IF_ERROR(journal->OpenDatabase(file));
  return journal;
}

SqliteJournal::~SqliteJournal() {
  sqlite3_finalize(insert_);
  sqlite3_close(database_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

absl::Status SqliteJournal::Lock(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/lock");
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) {
    return absl::InternalError(
        absl::StrCat("opening ", path, ": ", std::strerror(errno)));
  }
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t size = ::pread(lock_fd_, holder, sizeof(holder) - 1, 0);
    return absl::FailedPreconditionError(
        absl::StrCat("the state folder ", folder,
                     " is in use by the coordinator with ", "process id ",
                     size > 0 ? absl::StripAsciiWhitespace(holder)
                              : absl::string_view("unknown"),
                     "; stop that one first, or choose another --state"));
  }
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(lock_fd_, 0) != 0 ||
      ::pwrite(lock_fd_, pid.data(), pid.size(), 0) < 0) {
    return absl::InternalError(
        absl::StrCat("writing ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status SqliteJournal::OpenDatabase(const std::string& path) {
  if (sqlite3_open_v2(path.c_str(), &database_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                      nullptr) != SQLITE_OK) {
    return Error(absl::StrCat("opening ", path));
  }
  sqlite3_extended_result_codes(database_, 1);
  LORY_RETURN_IF_ERROR(Annotate(CheckVersion(path), path));
  for (const char* pragma :
       {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL"}) {
    LORY_RETURN_IF_ERROR(Annotate(Execute(pragma), path));
  }
  const std::string create = absl::StrCat(
      "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS journal(number INTEGER "
      "PRIMARY KEY, record BLOB NOT NULL, checksum INTEGER NOT NULL);",
      "PRAGMA application_id=", kApplicationId,
      "; PRAGMA user_version=", kVersion, "; COMMIT");
  LORY_RETURN_IF_ERROR(Annotate(Execute(create.c_str()), path));
  if (sqlite3_prepare_v2(database_, "INSERT INTO journal VALUES(?, ?, ?)", -1,
                         &insert_, nullptr) != SQLITE_OK) {
    return Error(absl::StrCat("opening ", path));
  }
  return ReadLastNumber();
}

absl::Status SqliteJournal::ReadLastNumber() {
  sqlite3_stmt* statement = nullptr;
  const absl::Cleanup finalize = [&] { sqlite3_finalize(statement); };
  if (sqlite3_prepare_v2(database_,
                         "SELECT coalesce(max(number), 0) FROM journal", -1,
                         &statement, nullptr) != SQLITE_OK ||
      sqlite3_step(statement) != SQLITE_ROW) {
    return Error("reading the journal");
  }
  last_number_ = sqlite3_column_int64(statement, 0);
  return absl::OkStatus();
}

absl::Status SqliteJournal::CheckVersion(const std::string& path) {
  const auto read = [&](const char* sql, int& value) {
    sqlite3_stmt* statement = nullptr;
    const absl::Cleanup finalize = [&] { sqlite3_finalize(statement); };
    if (sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) !=
            SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
      return Error("reading its version");
    }
    value = sqlite3_column_int(statement, 0);
    return absl::OkStatus();
  };
  int application = 0, version = 0, tables = 0;
  LORY_RETURN_IF_ERROR(read("PRAGMA application_id", application));
  LORY_RETURN_IF_ERROR(read("PRAGMA user_version", version));
  LORY_RETURN_IF_ERROR(read("SELECT count(*) FROM sqlite_master", tables));
  if (application != kApplicationId && (application != 0 || tables != 0)) {
    return absl::DataLossError("not a journal of lory-coordinator");
  }
  if (version > kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "written in layout ", version, ", but this coordinator knows layouts ",
        "up to ", kVersion, ": run the newer coordinator again"));
  }
  return absl::OkStatus();
}

absl::Status SqliteJournal::Execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Error("writing");
  }
  return absl::OkStatus();
}

absl::Status SqliteJournal::Insert(const Record& record) {
  const std::string bytes = record.SerializeAsString();
  sqlite3_reset(insert_);
  sqlite3_bind_int64(insert_, 1, ++last_number_);
  sqlite3_bind_blob(insert_, 2, bytes.data(), static_cast<int>(bytes.size()),
                    SQLITE_STATIC);
  sqlite3_bind_int64(insert_, 3, ChecksumOf(bytes));
  const int result = sqlite3_step(insert_);
  absl::Status status;
  if (result != SQLITE_DONE) status = Error("appending to the journal");
  sqlite3_reset(insert_);
  return status;
}

absl::Status SqliteJournal::Append(std::span<const Record> records) {
  if (failed_) {
    return absl::InternalError("the journal failed before; start again");
  }
  if (records.empty()) return absl::OkStatus();
  const int64_t last_before = last_number_;
  absl::Status status = Execute("BEGIN IMMEDIATE");
  for (const Record& record : records) {
    if (status.ok()) status = Insert(record);
  }
  if (status.ok()) status = Execute("COMMIT");
  if (status.ok()) return status;
  last_number_ = last_before;
  // Only a full disk leaves the file as it was for certain, once rolled back.
  failed_ = !absl::IsResourceExhausted(status);
  if (sqlite3_get_autocommit(database_) == 0 && !Execute("ROLLBACK").ok()) {
    failed_ = true;
  }
  return status;
}

absl::Status SqliteJournal::Replay(const Visitor& visit) {
  sqlite3_stmt* select = nullptr;
  const absl::Cleanup finalize = [&] { sqlite3_finalize(select); };
  if (sqlite3_prepare_v2(
          database_,
          "SELECT number, record, checksum FROM journal ORDER BY number", -1,
          &select, nullptr) != SQLITE_OK) {
    return Error("replaying the journal");
  }
  int64_t expected = 1;
  int result;
  while ((result = sqlite3_step(select)) == SQLITE_ROW) {
    const int64_t number = sqlite3_column_int64(select, 0);
    const void* blob = sqlite3_column_blob(select, 1);
    const absl::string_view bytes(
        blob == nullptr ? "" : static_cast<const char*>(blob),
        static_cast<size_t>(sqlite3_column_bytes(select, 1)));
    if (number != expected) {
      return absl::DataLossError(
          absl::StrCat("record ", expected, " of the journal is missing"));
    }
    Record record;
    if (ChecksumOf(bytes) != sqlite3_column_int64(select, 2) ||
        !record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return absl::DataLossError(
          absl::StrCat("record ", number, " of the journal was altered"));
    }
    LORY_RETURN_IF_ERROR(visit(number, record));
    ++expected;
  }
  if (result != SQLITE_DONE) return Error("replaying the journal");
  return absl::OkStatus();
}

absl::Status SqliteJournal::Error(const std::string& doing) {
  const int code =
      database_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(database_);
  const std::string message = absl::StrCat(
      doing, ": ",
      database_ == nullptr ? "out of memory" : sqlite3_errmsg(database_));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(
          absl::StrCat(message, " (another process has the journal open)"));
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace lory::coordinator
