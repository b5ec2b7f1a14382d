#include "common/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/quiet.h"
#include "common/rpc/unreadable_request.h"

namespace lory::rpc {
namespace {

void SetLimits(const Server::Options& options, grpc::ServerBuilder* builder) {
  builder->SetResourceQuota(
      grpc::ResourceQuota("server").SetMaxThreads(options.max_threads));
  builder->SetMaxReceiveMessageSize(
      static_cast<int>(options.max_message_bytes));
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8 << 10);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  // Two servers on one port would share its calls by chance.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

// gRPC would take a larger port modulo 65536.
absl::Status CheckPort(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) return absl::OkStatus();
  int32_t port = -1;
  if (absl::SimpleAtoi(SplitHostPort(address).port, &port) && port >= 0 &&
      port <= 65535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", address, "' has no port in 0..65535"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const Options& options, const std::vector<grpc::Service*>& services) {
  QuietGrpc();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  LORY_ASSIGN_OR_RETURN(const auto credentials,
                        ServerCredentialsFor(options.address, options.tls));
  LORY_RETURN_IF_ERROR(CheckPort(options.address));
  grpc::ServerBuilder builder;
  SetLimits(options, &builder);
  int port = 0;
  builder.AddListeningPort(options.address, credentials, &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      interceptors;
  interceptors.push_back(AnswersToUnreadableRequests());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  auto server = absl::WrapUnique(new Server);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", options.address,
        ": another process listens there, or this host has no such address; "
        "end that process or choose another address (port 0: any)"));
  }
  server->address_ = absl::StartsWith(options.address, "unix:")
                         ? options.address
                         : JoinHostPort(SplitHostPort(options.address).host,
                                        absl::StrCat(port));
  server->server_->GetHealthCheckService()->SetServingStatus("liveness", true);
  server->SetServing(false);
  return server;
}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  health->SetServingStatus("readiness", serving);
}

void Server::Shutdown(absl::Duration grace) {
  if (server_ == nullptr) return;
  SetServing(false);
  server_->Shutdown(absl::ToChronoTime(RealClock().WallNow() + grace));
  server_->Wait();
}

}  // namespace lory::rpc
