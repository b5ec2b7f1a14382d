#ifndef LORY_COMMON_RPC_UNREADABLE_REQUEST_H_
#define LORY_COMMON_RPC_UNREADABLE_REQUEST_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace lory::rpc {

// What a server needs to answer a request that protobuf cannot read, such as
// one with a text that is not UTF-8, with INVALID_ARGUMENT and words. gRPC's
// own answer is INTERNAL without any, and no handler hears of it. Other answers
// are left as they are, so handlers give INTERNAL words of their own.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
AnswersToUnreadableRequests();

}  // namespace lory::rpc

#endif  // LORY_COMMON_RPC_UNREADABLE_REQUEST_H_
