#ifndef LORY_COMMON_CONFIG_PROTO_WRITER_H_
#define LORY_COMMON_CONFIG_PROTO_WRITER_H_

#include <google/protobuf/message.h>

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace lory::config {

// How a message becomes YAML.
enum class YamlDialect {
  // As people write job.yaml: short keys, lower-case enum values, `none`. What
  // proto_reader.h reads.
  kJobFile,
  // As the API says it: proto names, enum values as in the .proto files.
  kResource
};

// `message` as block YAML, each line indented by `indent` spaces; fields that
// are not set are left out. Durations are "30s", times RFC 3339, bytes hex.
std::string YamlOf(const google::protobuf::Message& message,
                   YamlDialect dialect, int indent = 0);

// `text` as a YAML scalar, in quotes where YAML would read something else.
std::string YamlScalar(absl::string_view text);

// The shortest text that reads back as the same number.
std::string ShortestNumber(double number);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_PROTO_WRITER_H_
