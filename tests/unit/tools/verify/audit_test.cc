#include "tools/verify/audit.h"

#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/config/model_shape.h"
#include "common/data/checkpoint_manifest.h"
#include "common/data/dataset_manifest.h"
#include "common/data/shard_file.h"
#include "common/data/tensor_rows.h"
#include "common/io/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/verify/made_up_run.h"

namespace lory::verify {
namespace {

namespace fs = std::filesystem;
using ::lory::testing::StatusIs;
using ::lory::v1::Checkpoint;
using ::testing::HasSubstr;

// The made-up run on disk: <folder>/{state,storage,data}.
class AuditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = absl::StrCat(::testing::TempDir(), "verify_", ::getpid(), "_",
                           test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_ + "/state");
    fs::create_directories(job_folder() + "/trace");
    WriteDataset();
    for (auto& record : run_.records) {
      if (record.has_checkpoint_committed()) {
        WriteCheckpoint(
            *record.mutable_checkpoint_committed()->mutable_checkpoint());
      }
    }
    for (const TraceLine& line : run_.trace.lines) {
      std::ofstream(absl::StrCat(job_folder(), "/trace/", line.file),
                    std::ios::app)
          << ToJsonLine(line);
    }
    WriteJournal();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string job_folder() const { return folder_ + "/storage/jobs/tiny"; }
  std::string checkpoint_folder(int64_t step) const {
    return absl::StrCat(job_folder(), "/checkpoints/step-", step, ".gen-",
                        step == MadeUpRun::kSteps ? 2 : 1);
  }
  RunOptions options() const {
    return {.state_folder = folder_ + "/state",
            .job = "tiny",
            .storage_root = folder_ + "/storage",
            .dataset_manifest = ""};
  }
  Report Audit() {
    auto report = AuditRun(options());
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : Report();
  }

  void WriteDataset();
  void WriteCheckpoint(Checkpoint& checkpoint);
  void WriteJournal();
  void Execute(const std::string& sql);

  MadeUpRun run_;
  std::string folder_;
};

void AuditTest::WriteDataset() {
  const std::string data = folder_ + "/data";
  fs::create_directories(data);
  auto writer = data::ShardWriter::Create(data + "/shard-0", 9, 16);
  ASSERT_OK(writer);
  const std::vector<int32_t> tokens(9, 3);
  for (int i = 0; i < 10; ++i) ASSERT_OK((*writer)->Append(tokens));
  LORY_ASSERT_OK_AND_ASSIGN(const data::ShardEntry entry, (*writer)->Finish());
  std::ofstream(data + "/tokenizer.json") << "{}";
  data::DatasetManifest manifest;
  manifest.name = "demo";
  manifest.order = "random";
  manifest.sequence_length = 8;
  manifest.vocabulary_size = 16;
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_sha256 = Sha256Hex("{}");
  manifest.document_count = 10;
  manifest.token_count = 90;
  manifest.shards = {entry};
  const std::string text = data::SerializeDatasetManifest(manifest);
  std::ofstream(data + "/manifest.json") << text;
  auto* dataset =
      run_.records.front().mutable_dataset_created()->mutable_dataset();
  dataset->set_manifest_path(data + "/manifest.json");
  dataset->set_manifest_sha256(Sha256Hex(text));
}

void AuditTest::WriteCheckpoint(Checkpoint& checkpoint) {
  const std::string folder = checkpoint_folder(checkpoint.step());
  const lory::v1::JobSpec spec = run_.History().spec();
  LORY_ASSERT_OK_AND_ASSIGN(const config::ModelShape shape,
                            config::ResolveModelShape(spec.model()));
  std::vector<io::TensorToWrite> tensors[2];
  std::vector<float> zeros(4096);
  int index = 0;
  for (const auto& parameter : config::ParameterShapes(shape)) {
    for (const char* kind : {"param/", "adam_m/", "adam_v/"}) {
      io::TensorToWrite tensor;
      const std::string name = absl::StrCat(kind, parameter.name);
      tensor.info.name = name;
      tensor.info.shape = parameter.sizes;
      tensor.data = zeros.data();
      if (index == 0) {  // one tensor lies in both parts
        const int64_t rows = parameter.sizes[0];
        tensor.info.name = data::RowsName({name, 0, 3});
        tensor.info.shape[0] = 3;
        tensors[0].push_back(tensor);
        tensor.info.name = data::RowsName({name, 3, rows});
        tensor.info.shape[0] = rows - 3;
      }
      tensors[++index % 2].push_back(tensor);
    }
  }
  const int64_t updates = checkpoint.step();
  tensors[0].push_back(
      {.info = {.name = "adam_step", .dtype = io::DType::kI64, .shape = {1}},
       .data = &updates});
  checkpoint.set_folder(folder);
  for (int i = 0; i < 2; ++i) {
    lory::v1::CheckpointPart* part = checkpoint.add_parts();
    part->set_index(i);
    part->set_count(2);
    part->set_file(absl::StrCat("part-", i, "-of-2.safetensors"));
    const std::string path = absl::StrCat(folder, "/", part->file());
    LORY_ASSERT_OK_AND_ASSIGN(
        const std::string hash,
        io::WriteSafetensors(
            io::LocalStorage(), path, tensors[i],
            {{"step", absl::StrCat(checkpoint.step())},
             {"generation", absl::StrCat(checkpoint.generation())},
             {"part_index", absl::StrCat(i)},
             {"part_count", "2"},
             {"sample_digest",
              absl::BytesToHexString(checkpoint.sample_digest())}}));
    part->set_sha256(hash);
    part->set_size_bytes(static_cast<int64_t>(fs::file_size(path)));
  }
  const std::string text =
      data::SerializeCheckpointManifest({.checkpoint = checkpoint,
                                         .job = "jobs/tiny",
                                         .spec = spec,
                                         .previous_sha256 = ""});
  std::ofstream(folder + "/manifest.json") << text;
  checkpoint.set_manifest_sha256(Sha256Hex(text));
}

void AuditTest::Execute(const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ + "/state/journal.db").c_str(), &database),
            SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

void AuditTest::WriteJournal() {
  std::string sql =
      "PRAGMA journal_mode=WAL; PRAGMA user_version=1;"
      "CREATE TABLE journal(number INTEGER PRIMARY KEY, record BLOB NOT NULL,"
      " checksum INTEGER NOT NULL);";
  int64_t number = 0;
  for (const auto& record : run_.records) {
    const std::string bytes = record.SerializeAsString();
    absl::StrAppend(
        &sql, "INSERT INTO journal VALUES(", ++number, ", x'",
        absl::BytesToHexString(bytes), "', ",
        static_cast<int64_t>(FastHash64(bytes.data(), bytes.size())), ");");
  }
  Execute(sql);
}

TEST_F(AuditTest, AFaultlessRunPassesAndCounts) {
  const Report report = Audit();
  EXPECT_TRUE(report.ok()) << ToText(report);
  EXPECT_THAT(ToText(report),
              HasSubstr("samples lost: 0  repeated: 0  steps: 6  "
                        "generations: 2  recoveries: 1\n"));
}

TEST_F(AuditTest, FindsTheJobsFolderByItsCheckpoints) {
  RunOptions options = this->options();
  options.storage_root = "";
  LORY_ASSERT_OK_AND_ASSIGN(const Report report, AuditRun(options));
  EXPECT_TRUE(report.ok()) << ToText(report);
}

TEST_F(AuditTest, LeavesTheJournalsFolderAsItWas) {
  const auto before = fs::last_write_time(folder_ + "/state/journal.db");
  Audit();
  EXPECT_EQ(fs::last_write_time(folder_ + "/state/journal.db"), before);
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder_ + "/state")) {
    files += entry.is_regular_file();
  }
  EXPECT_EQ(files, 1);
}

TEST_F(AuditTest, ReadsTheJournalOfALivingCoordinator) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ + "/state/journal.db").c_str(), &database),
            SQLITE_OK);
  // What the coordinator holds as long as it lives, with a record still in the
  // write-ahead log.
  run_.AddState(lory::v1::Job::SUCCEEDED);
  const std::string bytes = run_.records.back().SerializeAsString();
  const std::string sql = absl::StrCat(
      "PRAGMA locking_mode=EXCLUSIVE; INSERT INTO journal VALUES(",
      run_.records.size(), ", x'", absl::BytesToHexString(bytes), "', ",
      static_cast<int64_t>(FastHash64(bytes.data(), bytes.size())), ")");
  ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_TRUE(Audit().ok());
  sqlite3_close(database);
}

TEST_F(AuditTest, AnAlteredOrMissingRecordIsNamed) {
  Execute("UPDATE journal SET record = x'00' WHERE number = 3");
  EXPECT_THAT(AuditRun(options()), StatusIs(absl::StatusCode::kDataLoss,
                                            HasSubstr("record 3 is altered")));
  Execute("DELETE FROM journal WHERE number = 3");
  EXPECT_THAT(AuditRun(options()), StatusIs(absl::StatusCode::kDataLoss,
                                            HasSubstr("record 3 is missing")));
}

TEST_F(AuditTest, AJournalOfANewerLayoutIsRefused) {
  Execute("PRAGMA user_version=2");
  EXPECT_THAT(
      AuditRun(options()),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("layout 2")));
}

TEST_F(AuditTest, AFolderWithoutAJournalSaysWhichOneToGive) {
  RunOptions options = this->options();
  options.state_folder = folder_;
  EXPECT_THAT(AuditRun(options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("--state")));
}

TEST_F(AuditTest, AnAlteredPartOfACommittedCheckpointIsFound) {
  const std::string path = checkpoint_folder(2) + "/part-1-of-2.safetensors";
  std::fstream file(path, std::ios::in | std::ios::out);
  file.seekp(-1, std::ios::end);
  file.put(1);
  file.close();
  EXPECT_TRUE(Failed(Audit().verdicts, "are whole"));
  EXPECT_FALSE(Failed(Audit().verdicts, "newest committed checkpoint loads"));
}

TEST_F(AuditTest, AMissingOrTruncatedPartIsFound) {
  const std::string path = checkpoint_folder(6) + "/part-0-of-2.safetensors";
  fs::resize_file(path, fs::file_size(path) - 1);
  EXPECT_TRUE(Failed(Audit().verdicts, "are whole"));
  fs::remove(path);
  EXPECT_TRUE(Failed(Audit().verdicts, "are whole"));
  EXPECT_TRUE(Failed(Audit().verdicts, "newest committed checkpoint loads"));
}

TEST_F(AuditTest, APartOfAnotherStepDoesNotLoad) {
  for (const char* part : {"0", "1"}) {
    const std::string file = absl::StrCat("/part-", part, "-of-2.safetensors");
    fs::copy_file(checkpoint_folder(2) + file, checkpoint_folder(6) + file,
                  fs::copy_options::overwrite_existing);
  }
  const Report report = Audit();
  EXPECT_TRUE(Failed(report.verdicts, "newest committed checkpoint loads"));
  EXPECT_THAT(ToJson(report), HasSubstr("its step is 2, want 6"));
}

TEST_F(AuditTest, AManifestOfAnotherCheckpointIsFound) {
  fs::copy_file(checkpoint_folder(2) + "/manifest.json",
                checkpoint_folder(6) + "/manifest.json",
                fs::copy_options::overwrite_existing);
  EXPECT_TRUE(Failed(Audit().verdicts, "are whole"));
}

TEST_F(AuditTest, AnotherDatasetInItsPlaceIsFound) {
  std::ofstream(folder_ + "/data/manifest.json", std::ios::app) << " ";
  EXPECT_TRUE(Failed(Audit().verdicts, "dataset is the registered one"));
}

TEST_F(AuditTest, ACheckpointAloneIsJudgedByItsManifest) {
  LORY_ASSERT_OK_AND_ASSIGN(const Report good,
                            AuditCheckpoint(checkpoint_folder(6)));
  EXPECT_TRUE(good.ok()) << ToText(good);
  // Half of the tensors are not enough to go on from.
  fs::copy_file(checkpoint_folder(6) + "/part-0-of-2.safetensors",
                checkpoint_folder(6) + "/part-1-of-2.safetensors",
                fs::copy_options::overwrite_existing);
  LORY_ASSERT_OK_AND_ASSIGN(const Report bad,
                            AuditCheckpoint(checkpoint_folder(6)));
  EXPECT_TRUE(Failed(bad.verdicts, "whole"));
  EXPECT_THAT(ToJson(bad), HasSubstr("no tensor"));
  EXPECT_THAT(ToJson(bad), HasSubstr("is [3, "));
}

TEST_F(AuditTest, ADatasetAloneIsReadToTheLastByte) {
  LORY_ASSERT_OK_AND_ASSIGN(const Report good, AuditDataset(folder_ + "/data"));
  EXPECT_TRUE(good.ok()) << ToText(good);
  std::ofstream(folder_ + "/data/tokenizer.json", std::ios::app) << " ";
  std::fstream shard(folder_ + "/data/shard-0.bin",
                     std::ios::in | std::ios::out);
  shard.put(1);
  shard.close();
  LORY_ASSERT_OK_AND_ASSIGN(const Report bad, AuditDataset(folder_ + "/data"));
  EXPECT_TRUE(Failed(bad.verdicts, "shards"));
  EXPECT_TRUE(Failed(bad.verdicts, "tokenizer"));
}

TEST_F(AuditTest, JsonSaysTheSameAsText) {
  const auto json = nlohmann::json::parse(ToJson(Audit()), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["samples_lost"], 0);
  EXPECT_EQ(json["recoveries"], 1);
}

TEST(Report, ShowsTheFirstPlacesOfMany) {
  Verdict verdict("nothing breaks");
  for (int i = 0; i < 20; ++i) verdict.Fail(absl::StrCat("place ", i));
  const Report report = {.subject = "x", .verdicts = {verdict}};
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(ToText(report), HasSubstr("FAILED  nothing breaks\n"));
  EXPECT_THAT(ToText(report), HasSubstr("and 12 more"));
}

}  // namespace
}  // namespace lory::verify
