#ifndef LORY_TOOLS_CORPUS_KEPT_BLOCKS_H_
#define LORY_TOOLS_CORPUS_KEPT_BLOCKS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::corpus {

// What a long stage has done already, in numbered blocks that outlive a kill:
// files whose names say what is in them, "17-<SHA-256>", beneath a folder named
// by what the stage is made from. Thread-compatible.
class KeptBlocks {
 public:
  // Finds those kept in `folder` for the stage of this fingerprint, and removes
  // all others.
  static absl::StatusOr<KeptBlocks> Open(const std::string& folder,
                                         const std::string& fingerprint);

  bool Has(int64_t number) const { return names_.count(number) > 0; }

  // The bytes of a block; none: it is not there, or not what was kept, and is
  // to be made again.
  std::optional<std::string> Take(int64_t number) const;

  // Survives a crash from then on.
  absl::Status Keep(int64_t number, absl::string_view bytes);

 private:
  explicit KeptBlocks(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;
  std::map<int64_t, std::string> names_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_KEPT_BLOCKS_H_
