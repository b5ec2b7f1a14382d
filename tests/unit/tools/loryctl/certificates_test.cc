#include "tools/loryctl/certificates.h"

#include <sys/stat.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/loryctl/fake_service.h"

namespace lory::ctl {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

struct CertificatesTest : ::testing::Test {
  absl::Status Init() {
    return CreateAuthority(certs, RealClock().WallNow(), absl::Hours(48));
  }
  absl::Status Issue(const std::string& name, std::vector<std::string> hosts,
                     absl::Duration valid_for = absl::Hours(24)) {
    return IssueCertificate(
        certs, RealClock().WallNow(),
        {.name = name, .hosts = hosts, .valid_for = valid_for});
  }
  rpc::TlsFiles Files(const std::string& name,
                      const std::string& ca = "ca") const {
    return {absl::StrCat(certs, "/", ca, ".pem"),
            absl::StrCat(certs, "/", name, ".pem"),
            absl::StrCat(certs, "/", name, ".key")};
  }
  int Openssl(const std::string& arguments) const {
    return std::system(absl::StrCat("cd ", certs, " && openssl ", arguments,
                                    " >/dev/null 2>&1")
                           .c_str());
  }

  testing::TemporaryFolder folder;
  const std::string certs = folder.At("certs");
};

TEST_F(CertificatesTest, OpensslAgreesThatTheyAreGood) {
  ASSERT_OK(Init());
  ASSERT_OK(Issue("worker-a", {"train-1.example", "10.0.0.7", "fd00::7"}));
  EXPECT_EQ(Openssl("verify -x509_strict -CAfile ca.pem ca.pem"), 0);
  for (const char* purpose : {"sslserver", "sslclient"}) {
    EXPECT_EQ(Openssl(absl::StrCat("verify -x509_strict -purpose ", purpose,
                                   " -CAfile ca.pem worker-a.pem")),
              0);
  }
  for (const char* check :
       {"-verify_hostname train-1.example", "-verify_hostname worker-a",
        "-verify_ip 10.0.0.7", "-verify_ip 127.0.0.1", "-verify_ip fd00::7"}) {
    EXPECT_EQ(
        Openssl(absl::StrCat("verify -CAfile ca.pem ", check, " worker-a.pem")),
        0)
        << check;
  }
  EXPECT_NE(Openssl("verify -CAfile ca.pem -verify_hostname other.example "
                    "worker-a.pem"),
            0);
}

TEST_F(CertificatesTest, KeysAreForTheirOwnerAlone) {
  ASSERT_OK(Init());
  ASSERT_OK(Issue("alice", {}));
  for (const char* key : {"/ca.key", "/alice.key"}) {
    struct stat info = {};
    ASSERT_EQ(stat((certs + key).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << key;
  }
}

TEST_F(CertificatesTest, NothingIsEverOverwritten) {
  ASSERT_OK(Init());
  EXPECT_THAT(Init(), StatusIs(absl::StatusCode::kAlreadyExists,
                               HasSubstr("is not overwritten")));
  ASSERT_OK(Issue("alice", {}));
  EXPECT_THAT(Issue("alice", {}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("alice")));
}

TEST_F(CertificatesTest, NamesThatWouldLeaveTheFolderAreRefused) {
  ASSERT_OK(Init());
  for (const char* name : {"", "../alice", "a/b", "ca", ".hidden", "-x"}) {
    EXPECT_THAT(Issue(name, {}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")))
        << name;
  }
  EXPECT_THAT(Issue("alice", {"a,DNS:evil.example"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("neither a host name")));
}

TEST_F(CertificatesTest, TheServiceTakesThemForMutualTls) {
  ASSERT_OK(Init());
  ASSERT_OK(Issue("coordinator", {}));
  ASSERT_OK(Issue("alice", {}));
  FakeService fake;
  fake.jobs = {TrainingJob()};
  fake.Start(Files("coordinator"));
  const auto files = Files("alice");
  EXPECT_EQ(
      Loryctl({"-s", fake.address(), "--tls-ca", files.ca, "--tls-cert",
               files.cert, "--tls-key", files.key, "job", "list", "-o", "name"})
          .out,
      "jobs/tiny\n");
  const Outcome without = Loryctl({"-s", fake.address(), "job", "list"});
  EXPECT_EQ(without.code, 4);
  EXPECT_THAT(without.err, HasSubstr("try: give --tls-ca, --tls-cert and"));
}

TEST_F(CertificatesTest, AnotherAuthoritysCertificateIsTurnedAway) {
  ASSERT_OK(Init());
  ASSERT_OK(Issue("coordinator", {}));
  const std::string other = folder.At("other");
  ASSERT_OK(CreateAuthority(other, RealClock().WallNow(), absl::Hours(1)));
  ASSERT_OK(IssueCertificate(other, RealClock().WallNow(),
                             {.name = "eve", .valid_for = absl::Hours(1)}));
  FakeService fake;
  fake.Start(Files("coordinator"));
  EXPECT_EQ(Loryctl({"-s", fake.address(), "--tls-ca", certs + "/ca.pem",
                     "--tls-cert", other + "/eve.pem", "--tls-key",
                     other + "/eve.key", "job", "list"})
                .code,
            4);
}

TEST_F(CertificatesTest, TheCommandsSayWhatToDoNext) {
  Outcome outcome = Loryctl({"certs", "issue", certs, "--name", "alice"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("try: loryctl certs init "));
  outcome = Loryctl({"certs", "init", certs});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, certs + "/ca.pem\n");
  EXPECT_THAT(outcome.err, HasSubstr("next: loryctl certs issue"));
  outcome = Loryctl({"certs", "issue", certs, "--name", "alice"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err,
              HasSubstr(absl::StrCat("--tls-key ", certs, "/alice.key")));
  EXPECT_EQ(Loryctl({"certs", "init", certs}).code, 5);
}

TEST_F(CertificatesTest, TheDoctorSeesWhatHasExpired) {
  ASSERT_OK(Init());
  ASSERT_OK(Issue("alice", {}));
  const auto files = Files("alice");
  // The clock of Loryctl stands in 1970.
  const Outcome outcome =
      Loryctl({"-s", "127.0.0.1:1", "--tls-ca", files.ca, "--tls-cert",
               files.cert, "--tls-key", files.key, "doctor"});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.out, HasSubstr("alice.pem is not valid yet"));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string pem,
                            io::LocalStorage().Read(files.cert));
  LORY_ASSERT_OK_AND_ASSIGN(const CertificateInfo info, ReadCertificate(pem));
  EXPECT_EQ(info.subject, "/O=Lory/CN=alice");
  EXPECT_GT(info.not_after, RealClock().WallNow() + absl::Hours(23));
}

}  // namespace
}  // namespace lory::ctl
