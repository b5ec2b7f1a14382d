#ifndef LORY_TOOLS_LORYCTL_PROBE_H_
#define LORY_TOOLS_LORYCTL_PROBE_H_

#include <string>

namespace lory::ctl {

// Whether anything takes a TCP connection at `address` (host:port) within a
// second. gRPC reports a refused connection and a failed TLS handshake in the
// same words; this tells them apart.
bool AcceptsConnections(const std::string& address);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_PROBE_H_
