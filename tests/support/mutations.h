#ifndef LORY_TESTS_SUPPORT_MUTATIONS_H_
#define LORY_TESTS_SUPPORT_MUTATIONS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/random.h"

namespace lory::testing {

// Damages bytes at random, the same way for the same seed: what a parser must
// take without a crash, whatever it then says. Thread-compatible.
//
//   Mutations mutations(seed);
//   for (int i = 0; i < 3000; ++i) Parse(mutations.Of(good));
class Mutations {
 public:
  explicit Mutations(uint64_t seed) : random_(seed) {}

  // `good` with one to four damages.
  std::string Of(absl::string_view good) {
    std::string bytes(good);
    for (uint64_t i = 0, count = 1 + random_.Below(4); i < count; ++i) {
      Damage(&bytes);
    }
    return bytes;
  }

 private:
  void Damage(std::string* bytes) {
    const size_t place = random_.Below(bytes->size() + 1);
    const size_t rest = bytes->size() - place;
    const size_t count = random_.Below(std::min<size_t>(rest, 16) + 1);
    switch (random_.Below(8)) {
      case 0:
        if (rest > 0) (*bytes)[place] ^= static_cast<char>(1 << Below(8));
        return;
      case 1:
        if (rest > 0) (*bytes)[place] = static_cast<char>(Below(256));
        return;
      case 2:
        bytes->resize(place);
        return;
      case 3:
        bytes->erase(place, count);
        return;
      case 4:
        bytes->insert(place, std::string(1 + count, char(Below(256))));
        return;
      case 5:
        bytes->insert(place, bytes->substr(place, count));
        return;
      case 6:
        return Overwrite(place, 4, bytes);
      default:
        return Overwrite(place, 8, bytes);
    }
  }

  // With a number at the edge of what its bytes can say.
  void Overwrite(size_t place, size_t width, std::string* bytes) {
    const uint64_t edges[] = {0,
                              1,
                              0x7fffffffu,
                              0x80000000u,
                              0xffffffffu,
                              uint64_t{1} << 62,
                              ~uint64_t{0},
                              bytes->size()};
    const uint64_t number = edges[random_.Below(8)];
    char image[sizeof(number)];
    std::memcpy(image, &number, sizeof(number));
    bytes->replace(place, std::min(width, bytes->size() - place), image,
                   std::min(width, bytes->size() - place));
  }

  int Below(int bound) {
    return static_cast<int>(random_.Below(static_cast<uint64_t>(bound)));
  }

  Random random_;
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_MUTATIONS_H_
