// Short texts that others send or name: a page token, an address, a header that
// shows a token. Only what was issued is taken.
#include "common/base/address.h"
#include "common/http/token_file.h"
#include "coordinator/engine/page_token.h"
#include "tests/fuzz/fuzz.h"

namespace lory {
namespace {

void CheckPage(absl::string_view text) {
  using coordinator::MakePageToken;
  const auto page = coordinator::ReadPage("jobs", 5, text, 10, 100);
  fuzz::CheckError(page.status(), {absl::StatusCode::kInvalidArgument});
  const std::string token = MakePageToken("jobs", text);
  const auto again = coordinator::ReadPage("jobs", 5, token, 10, 100);
  LORY_CHECK(again.ok() && again->after == text && again->size == 5);
  LORY_CHECK(!coordinator::ReadPage("workers", 5, token, 10, 100).ok());
}

void CheckAddress(absl::string_view text) {
  IsLoopbackAddress(text);
  const HostPort parts = SplitHostPort(text);
  if (parts.host.empty() || parts.host.find_first_of("[]") != parts.host.npos) {
    return;
  }
  const HostPort again = SplitHostPort(JoinHostPort(parts.host, parts.port));
  LORY_CHECK(again.host == parts.host && again.port == parts.port);
}

void CheckHeader(absl::string_view text) {
  constexpr char kToken[] = "0123456789abcdef0123456789abcdef";
  LORY_CHECK(!http::ShowsToken(text, kToken) ||
             text.find("B") != absl::string_view::npos);
  LORY_CHECK(http::ShowsToken("Bearer " + std::string(text), text));
}

}  // namespace

LORY_FUZZ(text) {
  CheckPage(text);
  CheckAddress(text);
  CheckHeader(text);
}

}  // namespace lory
