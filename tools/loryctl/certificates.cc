#include "tools/loryctl/certificates.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"

namespace lory::ctl {
namespace {

template <auto free_function>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

constexpr absl::string_view kCaName = "ca";
// Clocks of the hosts may differ a little.
constexpr absl::Duration kBackdated = absl::Minutes(5);

absl::Status OpensslError(absl::string_view what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return absl::InternalError(absl::StrCat(what, ": ", text));
}

std::string Path(const std::string& folder, absl::string_view name,
                 absl::string_view extension) {
  return absl::StrCat(folder, "/", name, extension);
}

absl::Status RequireAbsent(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      path, " is there already and is not overwritten; move it away first"));
}

// Creates a file that nobody else may have, in `mode`.
absl::Status WriteNew(const std::string& path, absl::string_view text,
                      mode_t mode) {
  const int file =
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0) {
    return errno == EEXIST
               ? RequireAbsent(path)
               : absl::ErrnoToStatus(errno, absl::StrCat("writing ", path));
  }
  const absl::Cleanup close_file = [file] { close(file); };
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("writing ", path));
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(file) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("syncing ", path));
  }
  return absl::OkStatus();
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::Status WritePair(const std::string& folder, absl::string_view name,
                       X509* certificate, EVP_PKEY* key) {
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_text.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key, nullptr, nullptr, 0,
                                    nullptr, nullptr) != 1) {
    return OpensslError("encoding a certificate");
  }
  LORY_RETURN_IF_ERROR(WriteNew(Path(folder, name, ".key"),
                                TextOf(key_text.get()), S_IRUSR | S_IWUSR));
  return WriteNew(Path(folder, name, ".pem"), TextOf(certificate_text.get()),
                  S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
}

absl::Status AddExtension(X509* certificate, X509* issuer, int id,
                          const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  if (extension == nullptr ||
      X509_add_ext(certificate, extension.get(), -1) != 1) {
    return OpensslError(absl::StrCat("extension ", OBJ_nid2sn(id)));
  }
  return absl::OkStatus();
}

// A certificate with a fresh serial number, times, names and key; unsigned.
absl::StatusOr<Certificate> MakeBody(const std::string& name, X509* issuer,
                                     EVP_PKEY* key, absl::Time now,
                                     absl::Duration valid_for) {
  Certificate certificate(X509_new());
  X509* const x = certificate.get();
  BIGNUM* serial = nullptr;
  // 16 random bytes, the first below 0x80 so that the number is positive.
  BN_hex2bn(&serial, absl::StrCat("4", SecureRandomHex(16).substr(1)).c_str());
  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
  BN_free(serial);
  ASN1_TIME_set(X509_getm_notBefore(x), absl::ToTimeT(now - kBackdated));
  ASN1_TIME_set(X509_getm_notAfter(x), absl::ToTimeT(now + valid_for));
  X509_NAME* subject = X509_get_subject_name(x);
  const auto* bytes = reinterpret_cast<const unsigned char*>(name.c_str());
  if (X509_set_version(x, X509_VERSION_3) != 1 ||
      X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("Lory"),
                                 -1, -1, 0) != 1 ||
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, bytes, -1, -1,
                                 0) != 1 ||
      X509_set_issuer_name(
          x, issuer == nullptr ? subject : X509_get_subject_name(issuer)) !=
          1 ||
      X509_set_pubkey(x, key) != 1) {
    return OpensslError("making a certificate");
  }
  return certificate;
}

absl::Status Sign(X509* certificate, EVP_PKEY* key) {
  // The number of bytes of the signature; 0 on failure.
  if (X509_sign(certificate, key, EVP_sha256()) == 0) {
    return OpensslError("signing");
  }
  return absl::OkStatus();
}

bool IsAddress(const std::string& host) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

absl::StatusOr<std::string> AlternativeNames(const LeafOptions& options) {
  std::vector<std::string> hosts = {options.name, "localhost", "127.0.0.1",
                                    "::1"};
  hosts.insert(hosts.end(), options.hosts.begin(), options.hosts.end());
  std::vector<std::string> names;
  for (const std::string& host : hosts) {
    // A comma would begin another entry of OpenSSL's text form.
    for (const char c : host) {
      if (!absl::ascii_isalnum(c) && c != '.' && c != '-' && c != '_' &&
          c != ':' && c != '*') {
        return absl::InvalidArgumentError(
            absl::StrCat("'", host, "' is neither a host name nor an address"));
      }
    }
    if (host.empty()) return absl::InvalidArgumentError("an empty host");
    names.push_back(absl::StrCat(IsAddress(host) ? "IP:" : "DNS:", host));
  }
  return absl::StrJoin(names, ",");
}

absl::Status CheckName(const std::string& name) {
  bool good = !name.empty() && name.size() <= 63 && name != kCaName &&
              absl::ascii_isalnum(name.front());
  for (const char c : name) {
    good &= absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", name,
                   "' is not a name for a certificate: letters, digits, dots, "
                   "hyphens and underscores, at most 63, and not ca"));
}

}  // namespace

absl::Status CreateAuthority(const std::string& folder, absl::Time now,
                             absl::Duration valid_for) {
  std::error_code error;
  if (std::filesystem::create_directories(folder, error)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all,
                                 error);
  }
  LORY_RETURN_IF_ERROR(RequireAbsent(Path(folder, kCaName, ".pem")));
  LORY_RETURN_IF_ERROR(RequireAbsent(Path(folder, kCaName, ".key")));
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpensslError("making a key");
  LORY_ASSIGN_OR_RETURN(
      const Certificate ca,
      MakeBody("Lory CA", nullptr, key.get(), now, valid_for));
  X509* const x = ca.get();
  LORY_RETURN_IF_ERROR(
      AddExtension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  LORY_RETURN_IF_ERROR(
      AddExtension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign"));
  LORY_RETURN_IF_ERROR(AddExtension(x, x, NID_subject_key_identifier, "hash"));
  LORY_RETURN_IF_ERROR(Sign(x, key.get()));
  return WritePair(folder, kCaName, x, key.get());
}

absl::Status IssueCertificate(const std::string& folder, absl::Time now,
                              const LeafOptions& options) {
  LORY_RETURN_IF_ERROR(CheckName(options.name));
  LORY_RETURN_IF_ERROR(RequireAbsent(Path(folder, options.name, ".pem")));
  LORY_RETURN_IF_ERROR(RequireAbsent(Path(folder, options.name, ".key")));
  LORY_ASSIGN_OR_RETURN(const std::string names, AlternativeNames(options));
  LORY_ASSIGN_OR_RETURN(const std::string ca_text,
                        io::LocalStorage().Read(Path(folder, kCaName, ".pem")));
  LORY_ASSIGN_OR_RETURN(const std::string ca_key_text,
                        io::LocalStorage().Read(Path(folder, kCaName, ".key")));
  const Bio ca_bio(BIO_new_mem_buf(ca_text.data(), ca_text.size()));
  const Bio ca_key_bio(BIO_new_mem_buf(ca_key_text.data(), ca_key_text.size()));
  const Certificate ca(
      PEM_read_bio_X509(ca_bio.get(), nullptr, nullptr, nullptr));
  const Key ca_key(
      PEM_read_bio_PrivateKey(ca_key_bio.get(), nullptr, nullptr, nullptr));
  if (ca == nullptr || ca_key == nullptr ||
      X509_check_private_key(ca.get(), ca_key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(
        "ca.pem and ca.key in ", folder, " are not a certificate and its key"));
  }
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpensslError("making a key");
  LORY_ASSIGN_OR_RETURN(
      const Certificate leaf,
      MakeBody(options.name, ca.get(), key.get(), now, options.valid_for));
  X509* const x = leaf.get();
  const std::pair<int, std::string> extensions[] = {
      {NID_basic_constraints, "critical,CA:FALSE"},
      {NID_key_usage, "critical,digitalSignature"},
      {NID_ext_key_usage, "serverAuth,clientAuth"},
      {NID_subject_key_identifier, "hash"},
      {NID_authority_key_identifier, "keyid"},
      {NID_subject_alt_name, names}};
  for (const auto& [id, value] : extensions) {
    LORY_RETURN_IF_ERROR(AddExtension(x, ca.get(), id, value));
  }
  LORY_RETURN_IF_ERROR(Sign(x, ca_key.get()));
  return WritePair(folder, options.name, x, key.get());
}

absl::StatusOr<CertificateInfo> ReadCertificate(absl::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Certificate certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError("not a PEM certificate");
  }
  const auto time_of = [](const ASN1_TIME* time) {
    std::tm parts = {};
    ASN1_TIME_to_tm(time, &parts);
    return absl::FromTM(parts, absl::UTCTimeZone());
  };
  char subject[256];
  X509_NAME_oneline(X509_get_subject_name(certificate.get()), subject,
                    sizeof subject);
  return CertificateInfo{
      .subject = subject,
      .not_before = time_of(X509_get0_notBefore(certificate.get())),
      .not_after = time_of(X509_get0_notAfter(certificate.get()))};
}

}  // namespace lory::ctl
