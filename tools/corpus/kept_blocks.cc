#include "tools/corpus/kept_blocks.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"

namespace lory::corpus {

absl::StatusOr<KeptBlocks> KeptBlocks::Open(const std::string& folder,
                                            const std::string& fingerprint) {
  io::Storage& storage = io::LocalStorage();
  LORY_ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                        storage.List(folder));
  for (const std::string& key : keys) {
    if (key == fingerprint) continue;
    LORY_RETURN_IF_ERROR(storage.Remove(absl::StrCat(folder, "/", key)));
  }
  KeptBlocks kept(absl::StrCat(folder, "/", fingerprint));
  LORY_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        storage.List(kept.folder_));
  for (const std::string& name : names) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(name, absl::MaxSplits('-', 1));
    int64_t number = 0;
    if (absl::SimpleAtoi(parts.first, &number)) kept.names_[number] = name;
  }
  return kept;
}

std::optional<std::string> KeptBlocks::Take(int64_t number) const {
  const auto name = names_.find(number);
  if (name == names_.end()) return std::nullopt;
  absl::StatusOr<std::string> bytes =
      io::LocalStorage().Read(absl::StrCat(folder_, "/", name->second));
  if (!bytes.ok() ||
      name->second != absl::StrCat(number, "-", Sha256Hex(*bytes))) {
    return std::nullopt;
  }
  return *std::move(bytes);
}

absl::Status KeptBlocks::Keep(int64_t number, absl::string_view bytes) {
  std::string name = absl::StrCat(number, "-", Sha256Hex(bytes));
  LORY_RETURN_IF_ERROR(
      io::LocalStorage().Write(absl::StrCat(folder_, "/", name), bytes));
  names_[number] = std::move(name);
  return absl::OkStatus();
}

}  // namespace lory::corpus
