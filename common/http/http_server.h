#ifndef LORY_COMMON_HTTP_HTTP_SERVER_H_
#define LORY_COMMON_HTTP_HTTP_SERVER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

// The one HTTP endpoint of a process: metrics, health, pages, and with
// PostHandlers an API. Wraps CivetWeb. No files, small requests.
namespace lory::http {

// Sends a piece of a body at once. False: the reader has left.
using BodyWriter = std::function<bool(const std::string& piece)>;

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string allow = "GET, HEAD";  // methods, for status 405
  // If set, called once to write the body piece by piece, instead of `body`.
  std::function<void(const BodyWriter& write)> stream = nullptr;
};

// Answers a GET; gets the path's query string, undecoded. Called from several
// threads.
using Handler = std::function<Response(const std::string& query)>;

// Whether whoever waits for the answer has closed the connection. Does not
// block. Valid until the answer is sent, its stream included.
using ReaderLeft = std::function<bool()>;

// Answers a POST of application/json; gets its body, which may be anything.
// One that takes long gives up when the reader has left. Called from several
// threads.
using PostHandler = std::function<Response(const std::string& body,
                                           const ReaderLeft& reader_left)>;

// Thread-safe.
class HttpServer {
 public:
  struct Options {
    std::map<std::string, PostHandler> posts;  // by exact path
    int max_body_bytes = 1 << 20;              // of a POST; more: status 413
    absl::Duration body_time = absl::Seconds(10);  // of all of it; then: 408
    int thread_count = 2;  // requests answered at one time
  };

  // Serves `handlers` by exact path on `address` (host:port, port 0: any). If
  // `token_file` is not empty, readers must show what it holds (token_file.h);
  // others get 401.
  //
  // PERMISSION_DENIED: the address is not loopback and there is no token file.
  // UNAVAILABLE: the port is taken. And the errors of ReadTokenFile.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const std::string& address, const std::string& token_file,
      std::map<std::string, Handler> handlers, Options options);
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const std::string& address, const std::string& token_file,
      std::map<std::string, Handler> handlers) {
    return Start(address, token_file, std::move(handlers), Options());
  }
  virtual ~HttpServer() = default;  // stops serving; waits for handlers

  // host:port with the real port.
  virtual std::string address() const = 0;
};

}  // namespace lory::http

#endif  // LORY_COMMON_HTTP_HTTP_SERVER_H_
