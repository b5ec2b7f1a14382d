#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tools/loryctl/certificates.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"

namespace lory::ctl {
namespace {

struct CertificateOptions {
  std::string folder;
  LeafOptions leaf;
  int days = 0;
};

absl::Status InitAuthority(Session& session,
                           const CertificateOptions& options) {
  LORY_RETURN_IF_ERROR(CreateAuthority(options.folder,
                                       session.environment().clock.WallNow(),
                                       absl::Hours(24) * options.days));
  session.out() << options.folder << "/ca.pem\n";
  session.err() << "a certificate authority, valid for " << options.days
                << " days. Keep " << options.folder
                << "/ca.key secret; copy only ca.pem to other hosts.\n"
                << "next: loryctl certs issue " << options.folder
                << " --name coordinator --host HOST-OF-THE-COORDINATOR\n";
  return absl::OkStatus();
}

absl::Status Issue(Session& session, CertificateOptions options) {
  options.leaf.valid_for = absl::Hours(24) * options.days;
  const absl::Status status = IssueCertificate(
      options.folder, session.environment().clock.WallNow(), options.leaf);
  if (!status.ok()) {
    return WithHint(status, absl::StatusCode::kNotFound,
                    absl::StrCat("loryctl certs init ", options.folder));
  }
  const std::string base = absl::StrCat(options.folder, "/", options.leaf.name);
  session.out() << base << ".pem\n";
  session.err() << "valid for " << options.days
                << " days, as server and as client. Use it with\n  --tls-ca "
                << options.folder << "/ca.pem --tls-cert " << base
                << ".pem --tls-key " << base << ".key\n";
  return absl::OkStatus();
}

}  // namespace

void AddCertificateCommands(CommandLine& line) {
  CLI::App& noun = line.AddNoun(
      "certs", "cert", "Certificates for mutual TLS: a small CA of your own");
  auto authority = std::make_shared<CertificateOptions>();
  authority->days = 3650;
  CLI::App& init = line.AddVerb(
      noun, "init", "Make a certificate authority: ca.pem and ca.key",
      {"loryctl certs init certs"},
      [=](Session& session) { return InitAuthority(session, *authority); });
  init.add_option("folder", authority->folder,
                  "where to put it; made if need be")
      ->required();
  init.add_option("--days", authority->days,
                  "how long it is valid (default: 3650)")
      ->check(CLI::Range(1, 36500));
  auto leaf = std::make_shared<CertificateOptions>();
  leaf->days = 365;
  CLI::App& issue = line.AddVerb(
      noun, "issue", "Sign a certificate for a coordinator, worker or person",
      {"loryctl certs issue certs --name coordinator --host train-1.example",
       "loryctl certs issue certs --name worker-a --host 10.0.0.7",
       "loryctl certs issue certs --name alice"},
      [=](Session& session) { return Issue(session, *leaf); });
  issue.add_option("folder", leaf->folder, "the folder of `certs init`")
      ->required();
  issue.add_option("--name", leaf->leaf.name, "whose it is; names the files")
      ->required();
  issue.add_option("--host", leaf->leaf.hosts,
                   "a host name or address it is for; may be repeated. The "
                   "name, localhost and loopback always are");
  issue.add_option("--days", leaf->days, "how long it is valid (default: 365)")
      ->check(CLI::Range(1, 3650));
}

}  // namespace lory::ctl
