#include "tests/support/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>

#include "common/base/check.h"

namespace lory::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Cert = std::unique_ptr<X509, void (*)(X509*)>;
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

void AddExtension(int nid, const std::string& value, X509* issuer, X509* cert) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  LORY_CHECK(extension != nullptr);
  LORY_CHECK(X509_add_ext(cert, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

Cert NewCert(const std::string& name, EVP_PKEY* key, X509* issuer,
             EVP_PKEY* issuer_key, int serial) {
  Cert cert(X509_new(), &X509_free);
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
  X509_set_pubkey(cert.get(), key);
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(cert.get()), "CN", MBSTRING_UTF8,
      reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  const bool self_signed = issuer == nullptr;
  X509* const signer = self_signed ? cert.get() : issuer;
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
  AddExtension(NID_basic_constraints,
               self_signed ? "critical,CA:TRUE" : "CA:FALSE", signer,
               cert.get());
  if (!self_signed) {
    AddExtension(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1", signer,
                 cert.get());
  }
  LORY_CHECK(X509_sign(cert.get(), issuer_key, EVP_sha256()) > 0);
  return cert;
}

void WritePem(const std::string& path, X509* cert) {
  const File file(std::fopen(path.c_str(), "w"), &std::fclose);
  LORY_CHECK(PEM_write_X509(file.get(), cert) == 1);
}

}  // namespace

struct TestCa::Material {
  Key key;
  Cert cert;
};

TestCa::TestCa(const std::string& folder)
    : folder_(folder),
      material_(new Material{Key(EVP_EC_gen("P-256"), &EVP_PKEY_free),
                             Cert(nullptr, &X509_free)}) {
  material_->cert = NewCert("test CA", material_->key.get(), nullptr,
                            material_->key.get(), 1);
  WritePem(ca_path(), material_->cert.get());
}

TestCa::~TestCa() { delete material_; }

void TestCa::Issue(const std::string& name) const {
  const Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Cert cert =
      NewCert(name, key.get(), material_->cert.get(), material_->key.get(), 2);
  WritePem(cert_path(name), cert.get());
  const File file(std::fopen(key_path(name).c_str(), "w"), &std::fclose);
  LORY_CHECK(PEM_write_PrivateKey(file.get(), key.get(), nullptr, nullptr, 0,
                                  nullptr, nullptr) == 1);
}

std::string TestCa::cert_path(const std::string& name) const {
  return folder_ + "/" + name + ".pem";
}

std::string TestCa::key_path(const std::string& name) const {
  return folder_ + "/" + name + ".key";
}

}  // namespace lory::testing
