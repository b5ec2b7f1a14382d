#ifndef LORY_COORDINATOR_ENGINE_PAGE_TOKEN_H_
#define LORY_COORDINATOR_ENGINE_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Pages of a list: where the next one begins, in words the caller keeps.
namespace lory::coordinator {

struct PageRequest {
  int size = 0;       // after the server's choice and limit
  std::string after;  // key of the last entry of the page before; empty: none
};

// `list`: which list, so that a token of another is told apart.
//
// INVALID_ARGUMENT: negative size, or a token this list has not issued.
absl::StatusOr<PageRequest> ReadPage(absl::string_view list, int32_t page_size,
                                     absl::string_view page_token,
                                     int default_size, int max_size);

// The token of the page after `last_key`.
std::string MakePageToken(absl::string_view list, absl::string_view last_key);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_ENGINE_PAGE_TOKEN_H_
