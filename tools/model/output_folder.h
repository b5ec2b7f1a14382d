#ifndef LORY_TOOLS_MODEL_OUTPUT_FOLDER_H_
#define LORY_TOOLS_MODEL_OUTPUT_FOLDER_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lory::surgery {

// What may become of a folder that is there already.
struct OutputOptions {
  // OK: a folder is an earlier output of ours and nothing but that; an error
  // says why it is not, as "it has no config.json".
  std::function<absl::Status(const std::string& folder)> check_earlier;
  // Replace an earlier output. No other folder is ever replaced.
  bool force = false;
};

// OK: `folder` has only files, of `names` alone. Else an error that names
// another.
absl::Status OnlyFiles(const std::string& folder,
                       const std::set<std::string>& names);

// OK: `target` is not `source` and does not lie in it, wherever links lead.
// What is read would be replaced, or have something in it that nobody expects
// there.
//
// INVALID_ARGUMENT names both. Otherwise as io::Storage.
absl::Status CheckOutsideOf(const std::string& source,
                            const std::string& target);

// A folder that appears whole or not at all: filled under a temporary name
// beside it, then renamed. Destroying it before Commit removes what was
// written. Thread-compatible.
class OutputFolder {
 public:
  // ALREADY_EXISTS: `target` is there, is not empty and may not be replaced, or
  // is a link.
  // INVALID_ARGUMENT: it is empty. Otherwise as io::Storage. Makes missing
  // parents.
  static absl::StatusOr<std::unique_ptr<OutputFolder>> Begin(
      const std::string& target, const OutputOptions& options);
  ~OutputFolder();

  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  // Where to write meanwhile.
  const std::string& path() const { return temporary_; }

  // Makes path(), or the folder `inner` in it, the target. With `force` the
  // earlier output gives way in the same instant. ALREADY_EXISTS: what came to
  // be there meanwhile may not be replaced.
  absl::Status Commit(const std::string& inner = "");

 private:
  OutputFolder(std::string target, std::string temporary, OutputOptions options)
      : target_(std::move(target)),
        temporary_(std::move(temporary)),
        options_(std::move(options)) {}

  const std::string target_;
  const std::string temporary_;
  const OutputOptions options_;
};

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_OUTPUT_FOLDER_H_
