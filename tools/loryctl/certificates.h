#ifndef LORY_TOOLS_LORYCTL_CERTIFICATES_H_
#define LORY_TOOLS_LORYCTL_CERTIFICATES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// A small certificate authority for a service of a few hosts: EC P-256 keys,
// one CA, leaf certificates that serve as server and as client. Private keys
// are readable by their owner alone; no file is ever overwritten.
namespace lory::ctl {

// Makes `folder` where needed, and ca.pem and ca.key in it.
//
// ALREADY_EXISTS: one of them is there.
absl::Status CreateAuthority(const std::string& folder, absl::Time now,
                             absl::Duration valid_for);

struct LeafOptions {
  std::string name;                // common name and base of the file names
  std::vector<std::string> hosts;  // host names and addresses it is for
  absl::Duration valid_for;
};

// Signs <name>.pem, with <name>.key, by the CA in `folder`. The name itself,
// localhost and the loopback addresses are always among the hosts.
//
// NOT_FOUND: no CA there. ALREADY_EXISTS: the files are there.
// INVALID_ARGUMENT: a name with other characters than letters, digits, dots,
// hyphens and underscores.
absl::Status IssueCertificate(const std::string& folder, absl::Time now,
                              const LeafOptions& options);

// What a PEM certificate says about itself.
struct CertificateInfo {
  std::string subject;
  absl::Time not_before;
  absl::Time not_after;
};

// INVALID_ARGUMENT: no certificate in it.
absl::StatusOr<CertificateInfo> ReadCertificate(absl::string_view pem);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_CERTIFICATES_H_
