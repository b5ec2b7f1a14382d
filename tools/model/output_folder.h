#ifndef LORY_TOOLS_MODEL_OUTPUT_FOLDER_H_
#define LORY_TOOLS_MODEL_OUTPUT_FOLDER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lory::surgery {

// What may become of a folder that is there already.
struct OutputOptions {
  // The file by which an earlier output is known.
  std::string marker;
  // Replace an earlier output. A folder without `marker` is never replaced.
  bool force = false;
};

// A folder that appears whole or not at all: filled under a temporary name
// beside it, then renamed. Destroying it before Commit removes what was
// written. Thread-compatible.
class OutputFolder {
 public:
  // ALREADY_EXISTS: `target` is there, is not empty and may not be replaced.
  // Otherwise as io::Storage. Makes missing parents.
  static absl::StatusOr<std::unique_ptr<OutputFolder>> Begin(
      const std::string& target, const OutputOptions& options);
  ~OutputFolder();

  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  // Where to write meanwhile.
  const std::string& path() const { return temporary_; }

  // Makes path(), or the folder `inner` in it, the target. With `force` the
  // earlier output gives way in the same instant.
  absl::Status Commit(const std::string& inner = "");

 private:
  OutputFolder(std::string target, std::string temporary)
      : target_(std::move(target)), temporary_(std::move(temporary)) {}

  const std::string target_;
  const std::string temporary_;
};

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_OUTPUT_FOLDER_H_
