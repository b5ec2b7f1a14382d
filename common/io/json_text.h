#ifndef LORY_COMMON_IO_JSON_TEXT_H_
#define LORY_COMMON_IO_JSON_TEXT_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

// JSON that others wrote. Pure.
namespace lory::io {

// Far deeper than any file of ours, and shallow enough for what walks a value
// by calling itself, as dump() does.
inline constexpr int kMostJsonDepth = 64;

// The object that `text` is. INVALID_ARGUMENT: it is none, or nested deeper
// than kMostJsonDepth; of NaN and Infinity, which Python writes, it names the
// key.
absl::StatusOr<nlohmann::ordered_json> ParseJsonObject(absl::string_view text);

}  // namespace lory::io

#endif  // LORY_COMMON_IO_JSON_TEXT_H_
