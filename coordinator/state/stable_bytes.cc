#include "coordinator/state/stable_bytes.h"

#include "common/base/check.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace lory::coordinator {

std::string StableBytes(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    LORY_CHECK(message.SerializeToCodedStream(&coded));
  }
  return bytes;
}

}  // namespace lory::coordinator
