#ifndef LORY_COMMON_BASE_ADDRESS_H_
#define LORY_COMMON_BASE_ADDRESS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace lory {

// An address host:port cut in two; brackets of IPv6 hosts are dropped. Both
// are empty when there is no colon.
struct HostPort {
  std::string host;
  std::string port;
};
HostPort SplitHostPort(absl::string_view address);

// Whether `address` is unix:path or host:port with a number up to 65535. gRPC
// takes a larger one for what 16 bits leave of it.
bool IsAddress(absl::string_view address);

// host:port, with brackets where the host needs them.
std::string JoinHostPort(absl::string_view host, absl::string_view port);

// Whether `address` (host:port or unix:path) can only be reached from this
// host. Decided by its text, never by a name server: localhost, 127.0.0.0/8,
// ::1 and Unix sockets.
bool IsLoopbackAddress(absl::string_view address);

}  // namespace lory

#endif  // LORY_COMMON_BASE_ADDRESS_H_
