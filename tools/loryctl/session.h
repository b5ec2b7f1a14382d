#ifndef LORY_TOOLS_LORYCTL_SESSION_H_
#define LORY_TOOLS_LORYCTL_SESSION_H_

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/rpc/status_convert.h"
#include "tools/loryctl/environment.h"
#include "tools/loryctl/settings.h"

namespace lory::ctl {

// Of every list; the coordinator's own limit is above it.
inline constexpr int kPageSize = 500;
// Between two tries of a stream that broke.
inline constexpr absl::Duration kReconnectEvery = absl::Milliseconds(500);

// One call of loryctl: where it speaks to and how it prints. The verbs get it.
class Session {
 public:
  explicit Session(Environment& environment) : environment_(environment) {}

  Environment& environment() { return environment_; }
  Settings& settings() { return settings_; }
  std::ostream& out() { return environment_.out; }
  // Words for people; never needed to use the data.
  std::ostream& err() { return environment_.err; }

  // The channel, opened at the first call. Errors as rpc::OpenChannel.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel();

  // A unary call, with the deadline of --timeout. A coordinator that is away
  // is tried again for two seconds: every call can be repeated, changes carry
  // a request_id.
  //
  //   session.Call(&JobService::Stub::GetJob, request)
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const Request& request) {
    LORY_ASSIGN_OR_RETURN(const auto channel, Channel());
    Stub stub(channel);
    Response response;
    LORY_RETURN_IF_ERROR(Retry([&] {
      grpc::ClientContext context;
      SetDeadline(context);
      return rpc::FromGrpc((stub.*method)(&context, request, &response));
    }));
    return response;
  }

  // Makes a coordinator's error one that says what to do.
  absl::Status Explain(const absl::Status& status) const;

  // The format of -o; a wrong one was refused before any verb runs.
  OutputFormat format() const { return format_; }
  void set_format(OutputFormat format) { format_ = format; }

  // Prints a resource in the format of -o; `table` is used for tables.
  absl::Status Print(const google::protobuf::Message& message,
                     const std::string& name,
                     const std::function<void()>& table);

  // Prints a list as JSON {"<key>": [...]}, YAML or names. False: the format
  // is a table, which the caller prints.
  template <typename List>
  bool PrintList(absl::string_view key, const List& list) {
    if (format_ == OutputFormat::kTable) return false;
    std::vector<const google::protobuf::Message*> messages;
    std::vector<std::string> names;
    for (const auto& item : list) {
      messages.push_back(&item);
      names.push_back(item.name());
    }
    PrintMessages(key, messages, names);
    return true;
  }

 private:
  void SetDeadline(grpc::ClientContext& context) const;
  absl::Status ExplainUnreachable(const absl::Status& status,
                                  const std::string& server) const;
  absl::Status Retry(const std::function<absl::Status()>& call);
  void PrintMessages(
      absl::string_view key,
      const std::vector<const google::protobuf::Message*>& messages,
      const std::vector<std::string>& names);

  Environment& environment_;
  Settings settings_;
  OutputFormat format_ = OutputFormat::kTable;
  std::shared_ptr<grpc::Channel> channel_;
};

// `message` as JSON with the names of the .proto files, indented.
std::string JsonOf(const google::protobuf::Message& message);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_SESSION_H_
