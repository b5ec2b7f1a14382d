#ifndef LORY_COMMON_RPC_CREDENTIALS_H_
#define LORY_COMMON_RPC_CREDENTIALS_H_

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::rpc {

// Mutual TLS: both sides show a certificate of the same CA. All three files
// or none; with none, only loopback addresses and Unix sockets are allowed.
struct TlsFiles {
  std::string ca;    // PEM, the CA both sides trust
  std::string cert;  // PEM, this side's chain
  std::string key;   // PEM, this side's private key

  bool empty() const { return ca.empty() && cert.empty() && key.empty(); }
};

// Whether `address` (host:port or unix:path) can only be reached from here.
bool IsLoopback(absl::string_view address);

// Credentials for a server on `address`.
//
// INVALID_ARGUMENT: some but not all files are named. PERMISSION_DENIED: no
// TLS and the address is not loopback. NOT_FOUND: a file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFor(
    const std::string& address, const TlsFiles& tls);

// Credentials for a client of `address`; same errors.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentialsFor(
    const std::string& address, const TlsFiles& tls);

}  // namespace lory::rpc

#endif  // LORY_COMMON_RPC_CREDENTIALS_H_
