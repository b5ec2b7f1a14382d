#ifndef LORY_COORDINATOR_STATE_STABLE_BYTES_H_
#define LORY_COORDINATOR_STATE_STABLE_BYTES_H_

#include <string>

#include "google/protobuf/message_lite.h"

namespace lory::coordinator {

// The message on the wire, maps sorted by key: equal messages give equal bytes.
// SerializeAsString promises that only for messages without maps. Comparable
// within one release of protobuf.
std::string StableBytes(const google::protobuf::MessageLite& message);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_STATE_STABLE_BYTES_H_
