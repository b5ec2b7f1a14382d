#include "tools/loryctl/session.h"

#include <google/protobuf/util/json_util.h>
#include <grpc/support/time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/address.h"
#include "common/base/check.h"
#include "common/base/error_detail.h"
#include "common/config/proto_writer.h"
#include "common/rpc/channel.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/probe.h"

namespace lory::ctl {
namespace {

constexpr absl::Duration kRetryFor = absl::Seconds(2);
constexpr absl::Duration kRetryEvery = absl::Milliseconds(200);
constexpr absl::Duration kConnectFor = absl::Milliseconds(50);

// gRPC's account of a failed connection without its inner vocabulary.
absl::Status Plain(const absl::Status& status) {
  return absl::UnavailableError(absl::StrReplaceAll(
      status.message(),
      {{"failed to connect to all addresses; last error: ", ""},
       {"UNKNOWN: ", ""},
       {"UNAVAILABLE: ", ""},
       {"tcp handshaker shutdown", "the connection was refused or closed"},
       {"Ssl handshake failed", "the TLS handshake failed"}}));
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Session::Channel() {
  if (channel_ == nullptr) {
    if (!IsAddress(settings_.server)) {
      return absl::InvalidArgumentError(
          absl::StrCat(settings_.server_origin, ": '", settings_.server,
                       "' is not HOST:PORT, such as 127.0.0.1:7440"));
    }
    const rpc::TlsFiles tls{settings_.tls_ca, settings_.tls_cert,
                            settings_.tls_key};
    LORY_ASSIGN_OR_RETURN(channel_, rpc::OpenChannel(settings_.server, tls));
  }
  return channel_;
}

void Session::SetDeadline(grpc::ClientContext& context) const {
  const auto timeout = gpr_time_from_micros(
      static_cast<int64_t>(settings_.timeout_seconds * 1e6), GPR_TIMESPAN);
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), timeout));
}

absl::Status Session::Retry(const std::function<absl::Status()>& call) {
  Clock& clock = environment_.clock;
  const absl::Time end =
      clock.MonotonicNow() +
      std::min(kRetryFor, absl::Seconds(settings_.timeout_seconds));
  while (true) {
    const absl::Status status = call();
    if (!absl::IsUnavailable(status) || clock.MonotonicNow() >= end) {
      return Explain(status);
    }
    clock.SleepFor(kRetryEvery);
    // A channel connects again only while somebody waits for it: calls that
    // fail at once do not, and gRPC by itself looks every five seconds.
    if (channel_ != nullptr) {
      channel_->WaitForConnected(gpr_time_add(
          gpr_now(GPR_CLOCK_MONOTONIC),
          gpr_time_from_millis(absl::ToInt64Milliseconds(kConnectFor),
                               GPR_TIMESPAN)));
    }
  }
}

absl::Status Session::Explain(const absl::Status& status) const {
  const std::string server =
      absl::StrCat(settings_.server, " (", settings_.server_origin, ")");
  // With a reason it is the coordinator itself that says so.
  if (absl::IsUnavailable(status) && ReasonOf(status).empty()) {
    return ExplainUnreachable(status, server);
  }
  if (absl::IsDeadlineExceeded(status)) {
    return WithHint(
        absl::DeadlineExceededError(
            absl::StrCat("no answer from the coordinator at ", server,
                         " within ", settings_.timeout_seconds, " s")),
        "wait longer with --timeout SECONDS; `loryctl doctor` looks closer");
  }
  return status;
}

absl::Status Session::ExplainUnreachable(const absl::Status& status,
                                         const std::string& server) const {
  if (!AcceptsConnections(settings_.server)) {
    return WithHint(
        Annotate(Plain(status),
                 absl::StrCat("cannot reach the coordinator at ", server)),
        "is lory-coordinator running there? Name it with --server HOST:PORT "
        "or LORY_SERVER; `loryctl doctor` looks closer");
  }
  return WithHint(
      absl::UnavailableError(
          absl::StrCat("something listens at ", server,
                       ", but no connection comes about: TLS on one side only, "
                       "or certificates of different authorities? (",
                       Plain(status).message(), ")")),
      settings_.tls_ca.empty()
          ? "give --tls-ca, --tls-cert and --tls-key if it wants certificates"
          : "use certificates of the coordinator's authority, or no --tls-* if "
            "it has none; `loryctl doctor` looks closer");
}

absl::Status Session::Print(const google::protobuf::Message& message,
                            const std::string& name,
                            const std::function<void()>& table) {
  switch (format_) {
    case OutputFormat::kTable:
      table();
      break;
    case OutputFormat::kName:
      out() << name << "\n";
      break;
    case OutputFormat::kJson:
      out() << JsonOf(message);
      break;
    case OutputFormat::kYaml:
      out() << config::YamlOf(message, config::YamlDialect::kResource);
      break;
  }
  return absl::OkStatus();
}

void Session::PrintMessages(
    absl::string_view key,
    const std::vector<const google::protobuf::Message*>& messages,
    const std::vector<std::string>& names) {
  if (format_ == OutputFormat::kName) {
    for (const std::string& name : names) out() << name << "\n";
    return;
  }
  if (format_ == OutputFormat::kYaml) {
    out() << key << ":" << (messages.empty() ? " []" : "") << "\n";
    for (const auto* message : messages) {
      std::string item =
          config::YamlOf(*message, config::YamlDialect::kResource, 2);
      if (!item.empty()) item[0] = '-';
      out() << item;
    }
    return;
  }
  out() << "{\"" << key << "\": [";
  const char* separator = "";
  for (const auto* message : messages) {
    std::string json = JsonOf(*message);
    json.pop_back();  // its newline
    out() << separator << "\n" << json;
    separator = ",";
  }
  out() << "]}\n";
}

std::string JsonOf(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  // It fails only for messages that are not valid protos, such as strings
  // that are not UTF-8, which cannot have come over the wire.
  LORY_CHECK(status.ok());
  return json;
}

}  // namespace lory::ctl
