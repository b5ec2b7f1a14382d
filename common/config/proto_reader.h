#ifndef LORY_COMMON_CONFIG_PROTO_READER_H_
#define LORY_COMMON_CONFIG_PROTO_READER_H_

#include <google/protobuf/message.h>

#include <string>

#include "common/config/origins.h"
#include "common/config/yaml_tree.h"

namespace lory::config {

// Writes what `node`, a map, says into `message`, over what is there. Keys are
// those of field_names.h; durations are "30s" or "5m", enum values lower-case
// words; a oneof's variant is a key of its message. Every value's origin goes
// to `origins`, everything wrong to `problems`; `path` is the message's own.
void ReadMessage(const YamlNode& node, const std::string& path,
                 const Source& source, google::protobuf::Message& message,
                 Origins& origins, Problems& problems);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_PROTO_READER_H_
