#include "common/rpc/unreadable_request.h"

#include "absl/status/status.h"
#include "common/rpc/status_convert.h"

namespace lory::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;

class UnreadableRequestInterceptor final
    : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* call) override {
    if (call->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      // Handlers' errors have words and details: ToGrpc.
      const grpc::Status status = call->GetSendStatus();
      if (status.error_code() == grpc::StatusCode::INTERNAL &&
          status.error_message().empty() && status.error_details().empty()) {
        call->ModifySendStatus(ToGrpc(absl::InvalidArgumentError(
            "the request cannot be read: a text in it is not UTF-8, or it is "
            "no message of this method")));
      }
    }
    call->Proceed();
  }
};

class Factory final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo*) override {
    return new UnreadableRequestInterceptor;  // gRPC's from here on
  }
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
AnswersToUnreadableRequests() {
  return std::make_unique<Factory>();
}

}  // namespace lory::rpc
