#include "common/http/http_server.h"

#include <civetweb.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stop_token>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/http/connection.h"
#include "common/http/token_file.h"

namespace lory::http {
namespace {

absl::string_view TextOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

bool Write(mg_connection* connection, const std::string& bytes) {
  return mg_write(connection, bytes.data(), bytes.size()) ==
         static_cast<int>(bytes.size());
}

void Send(mg_connection* connection, const Response& response, bool with_body) {
  // The policy keeps a page from loading anything from elsewhere, whatever
  // text from a job's labels it may show.
  const std::string head = absl::StrCat(
      "HTTP/1.1 ", response.status, " ", TextOf(response.status), "\r\n",
      "Content-Type: ", response.content_type, "\r\n",
      response.stream
          ? "Transfer-Encoding: chunked\r\n"
          : absl::StrCat("Content-Length: ", response.body.size(), "\r\n"),
      response.status == 405 ? absl::StrCat("Allow: ", response.allow, "\r\n")
                             : "",
      response.status == 401
          ? "WWW-Authenticate: Basic realm=\"lory: the token\"\r\n"
          : "",
      "Cache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\n"
      "Content-Security-Policy: default-src 'self' 'unsafe-inline' data:\r\n"
      "Connection: close\r\n\r\n");
  if (!Write(connection, head) || !with_body) return;
  if (!response.stream) {
    Write(connection, response.body);
    return;
  }
  response.stream([connection](const std::string& piece) {
    // An empty piece would end the body.
    return piece.empty() ||
           mg_send_chunk(connection, piece.data(),
                         static_cast<unsigned>(piece.size())) > 0;
  });
  mg_send_chunk(connection, "", 0);
}

// Opens a connection to `host`:`port` and drops it.
void Knock(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found) !=
      0) {
    return;
  }
  const int fd =
      ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    (void)::connect(fd, found->ai_addr, found->ai_addrlen);
    ::close(fd);
  }
  ::freeaddrinfo(found);
}

class CivetServer final : public HttpServer {
 public:
  CivetServer(std::string host, std::string token,
              std::map<std::string, Handler> handlers, Options options)
      : host_(std::move(host)),
        token_(std::move(token)),
        handlers_(std::move(handlers)),
        options_(std::move(options)) {
    mg_init_library(0);
  }

  ~CivetServer() override {
    if (context_ != nullptr) Stop();
    mg_exit_library();
  }

  absl::Status Listen(const std::string& address) {
    const std::string threads = absl::StrCat(options_.thread_count);
    const std::array<const char*, 13> settings = {"listening_ports",
                                                  address.c_str(),  //
                                                  "num_threads",
                                                  threads.c_str(),  //
                                                  "request_timeout_ms",
                                                  "5000",  //
                                                  "max_request_size",
                                                  "8192",  //
                                                  "enable_directory_listing",
                                                  "no",  //
                                                  "enable_keep_alive",
                                                  "no",  //
                                                  nullptr};
    mg_callbacks callbacks = {};
    callbacks.begin_request = &Answer;
    callbacks.log_message = [](const mg_connection*, const char*) { return 1; };
    context_ =
        mg_start(&callbacks, this, const_cast<const char**>(settings.data()));
    if (context_ == nullptr) {
      return absl::UnavailableError(absl::StrCat(
          "cannot serve HTTP on ", address,
          ": another process listens there, or this host has no such "
          "address; choose another one (port 0: any)"));
    }
    mg_server_port port = {};
    mg_get_server_ports(context_, 1, &port);
    port_ = port.port;
    return absl::OkStatus();
  }

  std::string address() const override {
    return JoinHostPort(host_, absl::StrCat(port_));
  }

 private:
  // CivetWeb looks at its stop flag every two seconds, or when somebody
  // connects; an ending process should not take that long.
  void Stop() {
    const std::jthread knocking([this](std::stop_token stopped) {
      while (!stopped.stop_requested()) {
        Knock(host_, port_);
        RealClock().SleepFor(absl::Milliseconds(5));
      }
    });
    mg_stop(context_);
  }

  static int Answer(mg_connection* connection) {
    const mg_request_info* request = mg_get_request_info(connection);
    auto* self = static_cast<CivetServer*>(request->user_data);
    const absl::string_view method = request->request_method;
    const char* shown = mg_get_header(connection, "Authorization");
    const bool welcome = self->token_.empty() ||
                         (shown != nullptr && ShowsToken(shown, self->token_));
    Connection reader(connection, self->port_);
    const Response response =
        welcome ? self->ResponseTo(method, *request, connection, reader)
                : Response{.status = 401, .body = "show the token\n"};
    Send(connection, response, method != "HEAD");
    reader.DropBody();
    return response.status;  // not 0: answered here
  }

  Response ResponseTo(absl::string_view method, const mg_request_info& request,
                      mg_connection* connection, Connection& reader) const {
    const char* path = request.local_uri;
    if (const auto post = options_.posts.find(path == nullptr ? "" : path);
        post != options_.posts.end()) {
      return ResponseToPost(method, post->second, connection, reader);
    }
    const auto handler = handlers_.find(path == nullptr ? "" : path);
    if (handler == handlers_.end()) {
      return {.status = 404, .body = "no such page\n"};
    }
    if (method != "GET" && method != "HEAD") {
      return {.status = 405, .body = "only GET and HEAD\n"};
    }
    return handler->second(
        request.query_string == nullptr ? "" : request.query_string);
  }

  Response ResponseToPost(absl::string_view method, const PostHandler& post,
                          mg_connection* connection, Connection& reader) const {
    if (method != "POST") {
      return {.status = 405, .body = "only POST\n", .allow = "POST"};
    }
    // A page from elsewhere cannot make a browser send this type unasked.
    const char* type = mg_get_header(connection, "Content-Type");
    if (type == nullptr ||
        !absl::StartsWithIgnoreCase(type, "application/json")) {
      return {.status = 415,
              .body = "send JSON, with Content-Type: application/json\n"};
    }
    const auto most = static_cast<size_t>(options_.max_body_bytes);
    std::string body;
    switch (reader.ReadBody(most, options_.body_time, body)) {
      case BodyEnd::kWhole:
        return post(body, [&reader] { return reader.ReaderLeft(); });
      case BodyEnd::kEarly:
        return {.status = 400, .body = "the body ended early\n"};
      case BodyEnd::kTooSlow:
        return {.status = 408, .body = "the body came too slowly\n"};
      case BodyEnd::kTooLarge:
        break;
    }
    return {.status = 413,
            .body = absl::StrCat("the body is larger than ", most, " bytes\n")};
  }

  const std::string host_;
  const std::string token_;  // empty: none is asked for
  const std::map<std::string, Handler> handlers_;
  const Options options_;
  mg_context* context_ = nullptr;
  int port_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const std::string& address, const std::string& token_file,
    std::map<std::string, Handler> handlers, Options options) {
  const HostPort parts = SplitHostPort(address);
  if (parts.host.empty() || parts.port.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", address, "' is not host:port"));
  }
  std::string token;
  if (!token_file.empty()) {
    LORY_ASSIGN_OR_RETURN(token, ReadTokenFile(token_file));
  } else if (!IsLoopbackAddress(address)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "HTTP pages are served without a token on loopback only, not on ",
        address,
        ": give --http-token-file, a file with a secret that readers "
        "must show"));
  }
  // CivetWeb takes numbers only.
  const std::string host = parts.host == "localhost" ? "127.0.0.1" : parts.host;
  auto server = std::make_unique<CivetServer>(
      host, std::move(token), std::move(handlers), std::move(options));
  LORY_RETURN_IF_ERROR(server->Listen(JoinHostPort(host, parts.port)));
  return server;
}

}  // namespace lory::http
