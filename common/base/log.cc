#include "common/base/log.h"

#include <unistd.h>

#include <cstdint>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace lory {
namespace {

struct LogState {
  Mutex mutex;
  LogLevel level ABSL_GUARDED_BY(mutex) = LogLevel::kInfo;
  LogFormat format ABSL_GUARDED_BY(mutex) = LogFormat::kText;
  std::vector<LogField> context ABSL_GUARDED_BY(mutex);
};

LogState& State() {
  static LogState* const state = new LogState;
  return *state;
}

absl::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "unknown";
}

bool IsPlain(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
      return false;
  }
  return true;
}

// JSON string escapes; also right for the quoted values of text lines.
std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += absl::StrFormat("\\u%04x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

void Append(const LogField& field, LogFormat format, std::string* line) {
  if (format == LogFormat::kJson) {
    absl::StrAppend(line, ",", Quoted(field.key), ":", Quoted(field.value));
  } else {
    absl::StrAppend(line, " ", field.key, "=",
                    IsPlain(field.value) ? field.value : Quoted(field.value));
  }
}

}  // namespace

void Log(LogLevel level, absl::string_view message,
         std::initializer_list<LogField> fields) {
  const std::string time = absl::FormatTime(
      "%Y-%m-%dT%H:%M:%E3SZ", RealClock().WallNow(), absl::UTCTimeZone());
  LogState& state = State();
  MutexLock lock(&state.mutex);
  if (level < state.level) return;
  const bool json = state.format == LogFormat::kJson;
  std::string line =
      json ? absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", Name(level),
                          "\",\"message\":", Quoted(message))
           : absl::StrCat(time, " ", Name(level), " ", Quoted(message));
  for (const LogField& field : state.context)
    Append(field, state.format, &line);
  for (const LogField& field : fields) Append(field, state.format, &line);
  absl::StrAppend(&line, json ? "}\n" : "\n");
  // One write a line keeps lines whole; a full pipe is nobody's error.
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, line.data(), line.size());
}

void SetLogContext(std::initializer_list<LogField> fields) {
  LogState& state = State();
  MutexLock lock(&state.mutex);
  state.context.assign(fields);
}

void SetLogOptions(LogLevel level, LogFormat format) {
  LogState& state = State();
  MutexLock lock(&state.mutex);
  state.level = level;
  state.format = format;
}

}  // namespace lory
