#ifndef LORY_COMMON_HTTP_HTTP_SERVER_H_
#define LORY_COMMON_HTTP_HTTP_SERVER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

// The one HTTP endpoint of a process: metrics, health and pages. Wraps
// CivetWeb. GET and HEAD only, no files, small requests.
namespace lory::http {

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Answers a GET; gets the path's query string, undecoded. Called from several
// threads.
using Handler = std::function<Response(const std::string& query)>;

// Thread-safe.
class HttpServer {
 public:
  // Serves `handlers` by exact path on `address` (host:port, port 0: any). If
  // `token_file` is not empty, readers must show what it holds (token_file.h);
  // others get 401.
  //
  // PERMISSION_DENIED: the address is not loopback and there is no token file.
  // UNAVAILABLE: the port is taken. And the errors of ReadTokenFile.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const std::string& address, const std::string& token_file,
      std::map<std::string, Handler> handlers);
  virtual ~HttpServer() = default;  // stops serving; waits for handlers

  // host:port with the real port.
  virtual std::string address() const = 0;
};

}  // namespace lory::http

#endif  // LORY_COMMON_HTTP_HTTP_SERVER_H_
