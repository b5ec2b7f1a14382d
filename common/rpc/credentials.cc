#include "common/rpc/credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/base/status_macros.h"

namespace lory::rpc {
namespace {

namespace tls_api = grpc::experimental;

// Changed files are noticed after at most so long: new certificates need no
// restart.
constexpr unsigned kReloadSeconds = 1;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

absl::StatusOr<File> Open(const std::string& path) {
  File file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", path, "; check the --tls-* flags"));
  }
  return file;
}

// gRPC would say nothing and refuse every handshake later.
absl::Status CheckPair(const TlsFiles& tls) {
  const absl::Cleanup forget_errors = [] { ERR_clear_error(); };
  LORY_ASSIGN_OR_RETURN(const File ca_file, Open(tls.ca));
  LORY_ASSIGN_OR_RETURN(const File cert_file, Open(tls.cert));
  LORY_ASSIGN_OR_RETURN(const File key_file, Open(tls.key));
  const std::unique_ptr<X509, void (*)(X509*)> ca(
      PEM_read_X509(ca_file.get(), nullptr, nullptr, nullptr), &X509_free);
  const std::unique_ptr<X509, void (*)(X509*)> cert(
      PEM_read_X509(cert_file.get(), nullptr, nullptr, nullptr), &X509_free);
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_PrivateKey(key_file.get(), nullptr, nullptr, nullptr),
      &EVP_PKEY_free);
  for (const auto& [found, path] :
       {std::pair(ca != nullptr, tls.ca), std::pair(cert != nullptr, tls.cert),
        std::pair(key != nullptr, tls.key)}) {
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is not the PEM file it should be"));
    }
  }
  if (X509_check_private_key(cert.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key ", tls.key, " is not that of ", tls.cert));
  }
  return absl::OkStatus();
}

// Whether TLS is to be used.
absl::StatusOr<bool> Check(const std::string& address, const TlsFiles& tls) {
  if (tls.empty()) {
    if (IsLoopback(address)) return false;
    return absl::PermissionDeniedError(absl::StrCat(
        "without TLS only loopback addresses are allowed, not ", address,
        "; give --tls-ca, --tls-cert and --tls-key (loryctl certs makes "
        "them)"));
  }
  if (tls.ca.empty() || tls.cert.empty() || tls.key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-ca, --tls-cert and --tls-key go together: give all or none");
  }
  LORY_RETURN_IF_ERROR(CheckPair(tls));
  return true;
}

void Watch(const TlsFiles& tls, tls_api::TlsCredentialsOptions* options) {
  options->set_certificate_provider(
      std::make_shared<tls_api::FileWatcherCertificateProvider>(
          tls.key, tls.cert, tls.ca, kReloadSeconds));
  options->watch_root_certs();
  options->watch_identity_key_cert_pairs();
}

}  // namespace

bool IsLoopback(absl::string_view address) {
  return IsLoopbackAddress(address);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFor(
    const std::string& address, const TlsFiles& tls) {
  LORY_ASSIGN_OR_RETURN(const bool secure, Check(address, tls));
  if (!secure) return grpc::InsecureServerCredentials();
  tls_api::TlsServerCredentialsOptions options(nullptr);
  Watch(tls, &options);
  options.set_cert_request_type(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls_api::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentialsFor(
    const std::string& address, const TlsFiles& tls) {
  LORY_ASSIGN_OR_RETURN(const bool secure, Check(address, tls));
  if (!secure) return grpc::InsecureChannelCredentials();
  tls_api::TlsChannelCredentialsOptions options;
  Watch(tls, &options);
  return tls_api::TlsCredentials(options);
}

}  // namespace lory::rpc
