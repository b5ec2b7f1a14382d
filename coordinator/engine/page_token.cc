#include "coordinator/engine/page_token.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"

namespace lory::coordinator {
namespace {

std::string Check(absl::string_view list, absl::string_view key) {
  return Sha256Hex(absl::StrCat(list, "\n", key)).substr(0, 8);
}

}  // namespace

absl::StatusOr<PageRequest> ReadPage(absl::string_view list, int32_t page_size,
                                     absl::string_view page_token,
                                     int default_size, int max_size) {
  PageRequest page;
  if (page_size < 0) {
    return FieldErrors({{"page_size", "must not be negative"}});
  }
  page.size = page_size == 0 ? default_size : std::min(page_size, max_size);
  if (page_token.empty()) return page;
  std::string text;
  if (!absl::WebSafeBase64Unescape(page_token, &text) || text.size() < 8 ||
      Check(list, absl::string_view(text).substr(8)) != text.substr(0, 8)) {
    return FieldErrors(
        {{"page_token",
          "was not issued for this list; leave it empty for the first page"}});
  }
  page.after = text.substr(8);
  return page;
}

std::string MakePageToken(absl::string_view list, absl::string_view last_key) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(Check(list, last_key), last_key));
}

}  // namespace lory::coordinator
