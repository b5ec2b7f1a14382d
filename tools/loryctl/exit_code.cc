#include "tools/loryctl/exit_code.h"

#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/error_detail.h"
#include "common/config/field_names.h"

namespace lory::ctl {
namespace {

constexpr absl::string_view kHint = "loryctl/hint";
constexpr absl::string_view kExitCode = "loryctl/exit-code";

std::string PayloadOf(const absl::Status& status, absl::string_view type) {
  const auto payload = status.GetPayload(type);
  return payload ? std::string(*payload) : "";
}

}  // namespace

ExitCode ExitCodeOf(const absl::Status& status) {
  int chosen = 0;
  if (absl::SimpleAtoi(PayloadOf(status, kExitCode), &chosen)) {
    return static_cast<ExitCode>(chosen);
  }
  // A value that a later release takes is a wrong one for this.
  if (ReasonOf(status) == "NUMERICS_UNIMPLEMENTED") return ExitCode::kUsage;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return ExitCode::kWrongState;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kDenied;
    default:
      return ExitCode::kError;
  }
}

std::string ExitCodeHelp() {
  return R"(Exit codes of loryctl:

  0  done; `job watch`, `submit --watch`, `study run`: all succeeded
  1  another error, on this machine or in the service
  2  the command line, a file or a value is not as it must be
  3  no such job, worker, dataset, checkpoint or file
  4  the coordinator cannot be reached or does not answer in time
  5  not possible in the present state, or the name is taken
  6  `job watch`, `study run`: a job failed; `checkpoint verify`: a file is
     damaged
  7  `job watch`, `study run`: a job was cancelled, and none failed
  8  not allowed: no or a wrong certificate, or a path outside the roots
  130  `study run`: ended by Ctrl-C; the jobs go on
)";
}

absl::Status WithHint(const absl::Status& status, absl::string_view hint) {
  if (status.ok() || status.GetPayload(kHint)) return status;
  absl::Status hinted = status;
  hinted.SetPayload(kHint, absl::Cord(hint));
  return hinted;
}

absl::Status WithHint(const absl::Status& status, absl::StatusCode code,
                      absl::string_view hint) {
  return status.code() == code ? WithHint(status, hint) : status;
}

absl::Status WithExitCode(absl::Status status, ExitCode code) {
  status.SetPayload(kExitCode,
                    absl::Cord(absl::StrCat(static_cast<int>(code))));
  return status;
}

std::string ErrorText(const absl::Status& status) {
  std::string message(status.message());
  // The service lists its fields in the message already, by their own names;
  // one that does not is helped here.
  for (const FieldViolation& violation : FieldViolationsOf(status)) {
    const std::string key = config::KeyPathOf(violation.field);
    const std::string told =
        absl::StrCat(violation.field, ": ", violation.description);
    const std::string shown = absl::StrCat(key, ": ", violation.description);
    if (key != violation.field && absl::StrContains(message, told)) {
      message = absl::StrReplaceAll(message, {{told, shown}});
    } else if (!absl::StrContains(message, key)) {
      absl::StrAppend(&message, "\n", shown);
    }
  }
  if (message.empty()) message = absl::StatusCodeToString(status.code());
  std::string text = absl::StrCat(
      "error: ", absl::StrReplaceAll(message, {{"\n", "\n       "}}), "\n");
  const std::string reason = ReasonOf(status);
  // FIELD_INVALID and the name of the code itself say nothing new.
  if (!reason.empty() && reason != "FIELD_INVALID" &&
      reason != absl::StatusCodeToString(status.code())) {
    absl::StrAppend(&text, "reason: ", reason, "\n");
  }
  const std::string hint = PayloadOf(status, kHint);
  if (!hint.empty()) absl::StrAppend(&text, "try: ", hint, "\n");
  return text;
}

}  // namespace lory::ctl
