#ifndef LORY_TESTS_SUPPORT_CERTIFICATES_H_
#define LORY_TESTS_SUPPORT_CERTIFICATES_H_

#include <string>

namespace lory::testing {

// Makes a CA of its own and signs certificates with it, for tests of mutual
// TLS. Keys are EC P-256, everything is valid for an hour.
class TestCa {
 public:
  // Writes ca.pem into `folder`, which must be there.
  explicit TestCa(const std::string& folder);
  ~TestCa();
  TestCa(const TestCa&) = delete;
  TestCa& operator=(const TestCa&) = delete;

  // Writes <name>.pem and <name>.key for 127.0.0.1 and localhost.
  void Issue(const std::string& name) const;

  std::string ca_path() const { return folder_ + "/ca.pem"; }
  std::string cert_path(const std::string& name) const;
  std::string key_path(const std::string& name) const;

 private:
  struct Material;

  const std::string folder_;
  Material* const material_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_CERTIFICATES_H_
