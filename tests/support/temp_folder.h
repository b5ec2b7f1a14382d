#ifndef LORY_TESTS_SUPPORT_TEMP_FOLDER_H_
#define LORY_TESTS_SUPPORT_TEMP_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "common/base/check.h"

namespace lory::testing {

// A new folder that is gone, with all it holds, at the end of the test. Its
// path is short enough for Unix sockets.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = "/tmp/lory_test_XXXXXX";
    LORY_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_TEMP_FOLDER_H_
