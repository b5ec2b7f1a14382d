#include "common/text/wire_reader.h"

#include <cstring>

namespace lory::text {
namespace {

constexpr int kKindBits = 3;
constexpr int kMostShift = 63;

uint64_t LittleEndian(absl::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    number = number << 8 | static_cast<unsigned char>(bytes[i - 1]);
  }
  return number;
}

}  // namespace

bool WireReader::Next() {
  if (rest_.empty() || !status_.ok()) return false;
  number_ = 0;
  bytes_ = {};
  uint64_t tag = 0;
  if (ReadNumber(&tag) && ReadValue(tag & ((1 << kKindBits) - 1)) &&
      tag >> kKindBits > 0 && tag >> kKindBits < INT32_MAX) {
    field_ = static_cast<int64_t>(tag >> kKindBits);
    return true;
  }
  status_ = absl::DataLossError("damaged");
  return false;
}

float WireReader::real() const {
  const uint32_t image = static_cast<uint32_t>(number_);
  float real = 0;
  std::memcpy(&real, &image, sizeof(real));
  return real;
}

bool WireReader::ReadNumber(uint64_t* number) {
  *number = 0;
  for (int shift = 0; shift <= kMostShift && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    *number |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool WireReader::Take(size_t count, absl::string_view* bytes) {
  if (count > rest_.size()) return false;
  *bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return true;
}

bool WireReader::ReadValue(uint64_t kind) {
  constexpr uint64_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
  absl::string_view fixed;
  uint64_t length = 0;
  switch (kind) {
    case kVarint:
      return ReadNumber(&number_);
    case kBytes:
      return ReadNumber(&length) && Take(length, &bytes_);
    case kFixed64:
    case kFixed32:
      if (!Take(kind == kFixed32 ? 4 : 8, &fixed)) return false;
      number_ = LittleEndian(fixed);
      return true;
    default:
      return false;
  }
}

}  // namespace lory::text
