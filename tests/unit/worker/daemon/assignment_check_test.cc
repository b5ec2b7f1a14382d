#include "worker/daemon/assignment_check.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::daemon {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::HasSubstr;

struct AssignmentCheckTest : ::testing::Test {
  AssignmentCheckTest() {
    for (const char* name : {"data", "storage", "elsewhere"}) {
      std::filesystem::create_directory(folder.At(name));
    }
    std::ofstream(folder.At("data/manifest.json")) << "{}";
    std::ofstream(folder.At("elsewhere/manifest.json")) << "{}";
    assignment.set_job("jobs/tiny");
    assignment.set_dataset_manifest_path(folder.At("data/manifest.json"));
    assignment.set_job_folder(folder.At("storage/jobs/tiny"));
  }

  absl::Status Check() const {
    return CheckAssignment(assignment, {.data = {folder.At("data")},
                                        .storage = {folder.At("storage")}});
  }

  TemporaryFolder folder;
  lory::v1::Assignment assignment;
};

TEST_F(AssignmentCheckTest, PathsBeneathTheRootsPass) {
  EXPECT_OK(Check());
  std::filesystem::create_directories(assignment.job_folder());
  EXPECT_OK(Check());
}

TEST_F(AssignmentCheckTest, ADatasetElsewhereIsRefused) {
  assignment.set_dataset_manifest_path(folder.At("elsewhere/manifest.json"));
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kPermissionDenied,
                                HasSubstr("--data-root")));
}

TEST_F(AssignmentCheckTest, ALinkOutOfTheRootIsRefused) {
  std::filesystem::create_directory_symlink(folder.At("elsewhere"),
                                            folder.At("data/link"));
  assignment.set_dataset_manifest_path(folder.At("data/link/manifest.json"));
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kPermissionDenied,
                                HasSubstr("data/link/manifest.json")));
}

TEST_F(AssignmentCheckTest, WhatAJobBeginsFromLiesBeneathARootToo) {
  for (const char* root : {"data", "storage"}) {
    const std::string path = folder.At(std::string(root) + "/step-9.gen-1");
    std::filesystem::create_directory(path);
    assignment.mutable_initial_checkpoint()->set_folder(path);
    EXPECT_OK(Check());
  }
  assignment.mutable_initial_checkpoint()->set_folder(folder.At("elsewhere"));
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kPermissionDenied,
                                HasSubstr("begins from")));
  assignment.mutable_initial_checkpoint()->set_folder(folder.At("data/none"));
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kNotFound,
                                HasSubstr("every worker's host")));
}

TEST_F(AssignmentCheckTest, AMissingDatasetIsToldApart) {
  assignment.set_dataset_manifest_path(folder.At("data/none.json"));
  assignment.mutable_spec()->set_dataset("datasets/demo");
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kNotFound,
                                ::testing::AllOf(
                                    HasSubstr("every worker's host"),
                                    HasSubstr("dataset register demo "),
                                    HasSubstr("`loryctl job resume tiny`"))));
}

TEST_F(AssignmentCheckTest, AJobFolderElsewhereIsRefused) {
  for (const std::string& path :
       {folder.At("elsewhere/jobs/tiny"),
        folder.At("storage/../elsewhere/tiny"), std::string("/nowhere/at/all"),
        std::string("storage/tiny"), std::string()}) {
    assignment.set_job_folder(path);
    EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kPermissionDenied,
                                  HasSubstr("--storage-root")))
        << path;
  }
}

TEST_F(AssignmentCheckTest, AJobWithoutAProperNameIsRefused) {
  assignment.set_job("jobs/../x");
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("not a job's name")));
}

}  // namespace
}  // namespace lory::daemon
