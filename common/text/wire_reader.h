#ifndef LORY_COMMON_TEXT_WIRE_READER_H_
#define LORY_COMMON_TEXT_WIRE_READER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// Goes through the fields of a message in protobuf's wire format, one by one.
// For what must do without protobuf's library; of the kinds of fields all but
// groups. Thread-compatible.
//
//   WireReader reader(bytes);
//   while (reader.Next()) if (reader.field() == 1) Use(reader.bytes());
//   LORY_RETURN_IF_ERROR(reader.status());
class WireReader {
 public:
  // `message` outlives it.
  explicit WireReader(absl::string_view message) : rest_(message) {}

  // The next field. False: there is none, or the message is damaged.
  bool Next();
  // DATA_LOSS: it was damaged.
  const absl::Status& status() const { return status_; }

  int64_t field() const { return field_; }
  // What the field holds; 0 or empty where it is of another kind.
  uint64_t number() const { return number_; }
  float real() const;                                 // of 32 bits
  absl::string_view bytes() const { return bytes_; }  // text and messages, too

 private:
  bool ReadNumber(uint64_t* number);
  bool ReadValue(uint64_t kind);
  bool Take(size_t count, absl::string_view* bytes);

  absl::string_view rest_;
  absl::Status status_;
  int64_t field_ = 0;
  uint64_t number_ = 0;
  absl::string_view bytes_;
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_WIRE_READER_H_
