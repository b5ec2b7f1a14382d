#include "common/rpc/quiet.h"

#include <grpc/support/log.h>

#include "common/base/log.h"

namespace lory::rpc {
namespace {

void ToOurLog(gpr_log_func_args* args) {
  if (args->severity < GPR_LOG_SEVERITY_ERROR) return;
  Log(LogLevel::kDebug, args->message, {{"from", "grpc"}});
}

}  // namespace

void QuietGrpc() { gpr_set_log_function(&ToOurLog); }

}  // namespace lory::rpc
