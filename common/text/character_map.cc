#include "common/text/character_map.h"

#include <cstring>

namespace lory::text {
namespace {

// A unit of Darts-clone.
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t ValueOf(uint32_t unit) { return unit & 0x7fffffffu; }
uint32_t LabelOf(uint32_t unit) { return unit & 0x800000ffu; }
uint32_t OffsetOf(uint32_t unit) {
  return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

}  // namespace

absl::StatusOr<CharacterMap> CharacterMap::Parse(absl::string_view bytes) {
  CharacterMap map;
  if (bytes.empty()) return map;
  const absl::Status damaged =
      absl::InvalidArgumentError("precompiled_charsmap is damaged");
  uint32_t size = 0;
  if (bytes.size() < sizeof(size)) return damaged;
  std::memcpy(&size, bytes.data(), sizeof(size));
  bytes.remove_prefix(sizeof(size));
  if (size == 0 || size > bytes.size() || size % sizeof(uint32_t) != 0) {
    return damaged;
  }
  map.units_.resize(size / sizeof(uint32_t));
  std::memcpy(map.units_.data(), bytes.data(), size);
  map.texts_ = std::string(bytes.substr(size));
  if (map.texts_.empty() || map.texts_.back() != '\0') return damaged;
  return map;
}

size_t CharacterMap::Find(absl::string_view text, absl::string_view* by) const {
  if (units_.empty()) return 0;
  size_t found = 0;
  // Of a file that lies, places outside end the search.
  const auto unit_at = [this](uint32_t place) {
    return place < units_.size() ? units_[place] : 0;
  };
  uint32_t place = OffsetOf(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    place ^= byte;
    const uint32_t unit = unit_at(place);
    if (LabelOf(unit) != byte) break;
    place ^= OffsetOf(unit);
    if (!HasLeaf(unit)) continue;
    const uint32_t value = ValueOf(unit_at(place));
    if (value >= texts_.size()) break;
    found = i + 1;
    *by = absl::string_view(texts_.c_str() + value);
  }
  return found;
}

}  // namespace lory::text
