#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/engine/memory_journal.h"
#include "coordinator/engine/sqlite_journal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::coordinator {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Journal::Record Draining(const std::string& worker) {
  Journal::Record record;
  record.mutable_worker_drain_changed()->set_worker(worker);
  record.mutable_worker_drain_changed()->set_drain(true);
  return record;
}

std::vector<std::string> WorkersIn(Journal& journal) {
  std::vector<std::string> workers;
  EXPECT_OK(journal.Replay([&](int64_t number, const Journal::Record& record) {
    EXPECT_EQ(number, static_cast<int64_t>(workers.size()) + 1);
    workers.push_back(record.worker_drain_changed().worker());
    return absl::OkStatus();
  }));
  return workers;
}

// ---- what every journal promises ----

// Makes a journal, and makes it again from what it left behind.
class JournalMaker {
 public:
  virtual ~JournalMaker() = default;
  virtual Journal& Open() = 0;
};

class MemoryMaker final : public JournalMaker {
 public:
  Journal& Open() override { return journal_; }

 private:
  MemoryJournal journal_;
};

class SqliteMaker final : public JournalMaker {
 public:
  Journal& Open() override {
    journal_.reset();
    auto journal = SqliteJournal::Open(folder_.path());
    EXPECT_OK(journal);
    journal_ = *std::move(journal);
    return *journal_;
  }

 private:
  testing::TemporaryFolder folder_;
  std::unique_ptr<SqliteJournal> journal_;
};

template <typename Maker>
class JournalContract : public ::testing::Test {
 protected:
  Maker maker_;
};
using Makers = ::testing::Types<MemoryMaker, SqliteMaker>;
TYPED_TEST_SUITE(JournalContract, Makers);

TYPED_TEST(JournalContract, BeginsEmpty) {
  EXPECT_THAT(WorkersIn(this->maker_.Open()), IsEmpty());
}

TYPED_TEST(JournalContract, KeepsRecordsInOrderAcrossReopening) {
  const std::vector<Journal::Record> first = {Draining("a"), Draining("b")};
  const std::vector<Journal::Record> second = {Draining("c")};
  ASSERT_OK(this->maker_.Open().Append(first));
  Journal& reopened = this->maker_.Open();
  ASSERT_OK(reopened.Append(second));
  EXPECT_THAT(WorkersIn(reopened), ElementsAre("a", "b", "c"));
  EXPECT_THAT(WorkersIn(this->maker_.Open()), ElementsAre("a", "b", "c"));
}

TYPED_TEST(JournalContract, AppendingNothingIsFine) {
  EXPECT_OK(this->maker_.Open().Append({}));
}

TYPED_TEST(JournalContract, ReplayStopsAtTheVisitorsError) {
  Journal& journal = this->maker_.Open();
  const std::vector<Journal::Record> records = {Draining("a"), Draining("b")};
  ASSERT_OK(journal.Append(records));
  int visited = 0;
  EXPECT_THAT(journal.Replay([&](int64_t, const Journal::Record&) {
    ++visited;
    return absl::DataLossError("stop");
  }),
              StatusIs(absl::StatusCode::kDataLoss, "stop"));
  EXPECT_EQ(visited, 1);
}

// ---- SQLite's own ----

void RunSql(const std::string& folder, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(
      sqlite3_open(absl::StrCat(folder, "/journal.db").c_str(), &database),
      SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

void FillJournal(const std::string& folder) {
  LORY_ASSERT_OK_AND_ASSIGN(const auto journal, SqliteJournal::Open(folder));
  const std::vector<Journal::Record> records = {Draining("a"), Draining("b"),
                                                Draining("c")};
  ASSERT_OK(journal->Append(records));
}

absl::Status OpenAndReplay(const std::string& folder) {
  auto journal = SqliteJournal::Open(folder);
  if (!journal.ok()) return journal.status();
  return (*journal)->Replay(
      [](int64_t, const Journal::Record&) { return absl::OkStatus(); });
}

std::filesystem::perms ModeOf(const std::string& path) {
  return std::filesystem::status(path).permissions();
}

TEST(SqliteJournal, NobodyElseCanReadIt) {
  constexpr auto kFile = std::filesystem::perms(0600);
  const testing::TemporaryFolder folder;
  const std::string state = folder.At("state");
  // As an earlier version left it, in the folder the coordinator made.
  std::filesystem::create_directory(state);
  std::filesystem::permissions(state, std::filesystem::perms(0755));
  FillJournal(state);
  EXPECT_EQ(ModeOf(state), std::filesystem::perms(0700));
  std::filesystem::permissions(state + "/journal.db",
                               std::filesystem::perms(0644));
  LORY_ASSERT_OK_AND_ASSIGN(const auto journal, SqliteJournal::Open(state));
  ASSERT_OK(journal->Append(std::vector<Journal::Record>{Draining("d")}));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(state)) {
    EXPECT_EQ(ModeOf(entry.path()), kFile) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 3);  // the database, its log, the lock
}

TEST(SqliteJournal, AFolderThatHoldsOtherThingsStaysOpen) {
  const testing::TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::create_directory(folder.At("others"));
  FillJournal(folder.path());
  EXPECT_EQ(ModeOf(folder.path()), std::filesystem::perms(0755));
  // The journal is there already at the second start.
  ASSERT_OK(OpenAndReplay(folder.path()));
  EXPECT_EQ(ModeOf(folder.path()), std::filesystem::perms(0755));
  EXPECT_EQ(ModeOf(folder.At("journal.db")), std::filesystem::perms(0600));
}

TEST(SqliteJournal, ASecondCoordinatorIsToldWhoHasTheJournal) {
  testing::TemporaryFolder folder;
  LORY_ASSERT_OK_AND_ASSIGN(const auto journal,
                            SqliteJournal::Open(folder.path()));
  EXPECT_THAT(SqliteJournal::Open(folder.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(absl::StrCat("process id ", ::getpid()))));
}

TEST(SqliteJournal, ANewerLayoutIsRefusedByNumber) {
  testing::TemporaryFolder folder;
  FillJournal(folder.path());
  RunSql(folder.path(), "PRAGMA user_version=7");
  EXPECT_THAT(
      OpenAndReplay(folder.path()),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("layout 7")));
}

TEST(SqliteJournal, AMissingRecordIsDataLoss) {
  testing::TemporaryFolder folder;
  FillJournal(folder.path());
  RunSql(folder.path(), "DELETE FROM journal WHERE number = 2");
  EXPECT_THAT(OpenAndReplay(folder.path()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("record 2")));
}

TEST(SqliteJournal, AnAlteredRecordIsDataLoss) {
  testing::TemporaryFolder folder;
  FillJournal(folder.path());
  RunSql(folder.path(),
         "UPDATE journal SET record = record || x'00' WHERE number = 3");
  EXPECT_THAT(OpenAndReplay(folder.path()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("record 3")));
}

TEST(SqliteJournal, AnotherFileIsNotTakenForAJournal) {
  testing::TemporaryFolder folder;
  RunSql(folder.path(), "CREATE TABLE other(x)");
  EXPECT_THAT(
      OpenAndReplay(folder.path()),
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not a journal")));
}

TEST(SqliteJournal, AFileOfRubbishIsDataLoss) {
  testing::TemporaryFolder folder;
  const std::string path = absl::StrCat(folder.path(), "/journal.db");
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  const std::string rubbish(8192, 'x');
  ASSERT_EQ(::write(fd, rubbish.data(), rubbish.size()),
            static_cast<ssize_t>(rubbish.size()));
  ::close(fd);
  EXPECT_THAT(OpenAndReplay(folder.path()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("journal.db")));
}

TEST(MemoryJournal, AFullDiskAddsNothingAndMayPass) {
  MemoryJournal journal;
  journal.FailNextAppend(absl::ResourceExhaustedError("disk full"));
  const std::vector<Journal::Record> records = {Draining("a")};
  EXPECT_FALSE(journal.Append(records).ok());
  EXPECT_FALSE(journal.failed());
  EXPECT_OK(journal.Append(records));
}

TEST(MemoryJournal, AnyOtherErrorIsFinal) {
  MemoryJournal journal;
  journal.FailNextAppend(absl::InternalError("fsync failed"));
  const std::vector<Journal::Record> records = {Draining("a")};
  EXPECT_FALSE(journal.Append(records).ok());
  EXPECT_TRUE(journal.failed());
  EXPECT_FALSE(journal.Append(records).ok());
}

}  // namespace
}  // namespace lory::coordinator
