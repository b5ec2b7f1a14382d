#ifndef LORY_COMMON_HTTP_CONNECTION_H_
#define LORY_COMMON_HTTP_CONNECTION_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"

struct mg_connection;

namespace lory::http {

// How reading a body ended.
enum class BodyEnd {
  kWhole,
  kEarly,     // the reader sent less than it said
  kTooLarge,  // more than was asked for
  kTooSlow,
};

// Whoever waits for an answer, as CivetWeb does not show it: its body within a
// time, and whether it is still there. Belongs to the thread that answers.
class Connection {
 public:
  // `connection` outlives it; `port` is the server's own.
  Connection(mg_connection* connection, int port);

  // Whether the reader has closed its side. Does not block.
  bool ReaderLeft() const;

  // Reads the request's body: of at most `most` bytes, in about `time` in all,
  // however often a few of them come. Blocks that long and a read's time-out.
  BodyEnd ReadBody(size_t most, absl::Duration time, std::string& body);

  // After the answer: where a body was announced and not read, takes what comes
  // of it for a moment, as a connection that is closed before would reset and
  // take the answer with it; then no more. Blocks for half a second at most.
  void DropBody();

 private:
  bool HasBody() const;
  // Bytes that a read may ask for without waiting until the last has come.
  size_t Ready(size_t most) const;

  mg_connection* const connection_;
  int socket_ = -1;  // CivetWeb's; -1: not found, or not looked for
  bool body_read_ = false;
};

}  // namespace lory::http

#endif  // LORY_COMMON_HTTP_CONNECTION_H_
