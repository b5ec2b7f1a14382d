#ifndef LORY_TESTS_SUPPORT_TEMPORARY_FOLDER_H_
#define LORY_TESTS_SUPPORT_TEMPORARY_FOLDER_H_

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "gtest/gtest.h"

namespace lory::testing {

// An empty folder of its own for a test; gone with everything in it when the
// test ends.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::canonical(::testing::TempDir()) /
              ("lory-test-" + SecureRandomHex(8))) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path() const { return path_.string(); }
  // Absolute path of `name` inside.
  std::string At(const std::string& name) const {
    return (path_ / name).string();
  }
  // Writes a file and returns its path. Does not sync: tests write thousands.
  std::string Write(const std::string& name, absl::string_view bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream file(path_ / name, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    LORY_CHECK(file.good());
    return At(name);
  }

 private:
  const std::filesystem::path path_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_TEMPORARY_FOLDER_H_
