#ifndef LORY_COMMON_BASE_HASH_H_
#define LORY_COMMON_BASE_HASH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace lory {

// SHA-256 of a stream of bytes, for files and chains. Thread-compatible.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(absl::string_view bytes);
  // The digest so far as 32 raw bytes; ends the stream.
  std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// SHA-256 of `bytes`: 32 raw bytes, or 64 hex digits.
std::string Sha256Bytes(absl::string_view bytes);
std::string Sha256Hex(absl::string_view bytes);

// XXH3, 64 bits: fast, for tables and state comparison, not for secrets.
uint64_t FastHash64(const void* data, size_t size, uint64_t seed = 0);

}  // namespace lory

#endif  // LORY_COMMON_BASE_HASH_H_
