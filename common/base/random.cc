#include "common/base/random.h"

#include <sys/random.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace lory {

uint64_t Mix64(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15u;
  return Mix64(state_);
}

uint64_t Random::Below(uint64_t bound) {
  LORY_CHECK(bound > 0);
  // Reject the short last interval: every residue is then equally likely.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t value = Next();
  while (value >= limit) value = Next();
  return value % bound;
}

double Random::NextDouble() {
  return static_cast<double>(Next() >> 11) * 0x1.0p-53;
}

std::string SecureRandomHex(int byte_count) {
  std::string bytes(byte_count, '\0');
  LORY_CHECK(getrandom(bytes.data(), bytes.size(), 0) ==
             static_cast<ssize_t>(bytes.size()));
  return absl::BytesToHexString(bytes);
}

std::string RandomUuid() {
  std::string hex = SecureRandomHex(16);
  hex[12] = '4';                              // version
  hex[16] = "89ab"[(hex[16] & 0x0f) & 0x03];  // variant
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-",
                      hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20));
}

}  // namespace lory
