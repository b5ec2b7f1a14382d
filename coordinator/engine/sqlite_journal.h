#ifndef LORY_COORDINATOR_ENGINE_SQLITE_JOURNAL_H_
#define LORY_COORDINATOR_ENGINE_SQLITE_JOURNAL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/engine/journal.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lory::coordinator {

// A journal in `<folder>/journal.db`: one table
//
//   journal(number INTEGER PRIMARY KEY, record BLOB, checksum INTEGER)
//
// of serialised JournalRecords, numbered from 1 without gaps, each with its
// XXH3; user_version says which layout. WAL, synchronous=FULL, and exactly one
// connection: a lock on `<folder>/lock` keeps a second coordinator out.
class SqliteJournal final : public Journal {
 public:
  static constexpr int kVersion = 1;

  // Makes the folder and the file when they are missing.
  //
  // FAILED_PRECONDITION: written by a newer version (the message names both),
  // or in use by a living coordinator (the message names its process).
  // DATA_LOSS: not a journal, or damaged. Otherwise the system's error.
  static absl::StatusOr<std::unique_ptr<SqliteJournal>> Open(
      const std::string& folder);
  ~SqliteJournal() override;

  absl::Status Append(std::span<const Record> records) override;
  absl::Status Replay(const Visitor& visit) override;
  bool failed() const override { return failed_; }

 private:
  SqliteJournal() = default;

  absl::Status Lock(const std::string& folder);
  absl::Status OpenDatabase(const std::string& path);
  absl::Status CheckVersion(const std::string& path);
  absl::Status ReadLastNumber();
  absl::Status Execute(const char* sql);
  absl::Status Insert(const Record& record);
  // The status of SQLite's last error.
  absl::Status Error(const std::string& doing);

  int lock_fd_ = -1;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  int64_t last_number_ = 0;
  bool failed_ = false;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_SQLITE_JOURNAL_H_
