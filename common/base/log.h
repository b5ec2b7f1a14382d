#ifndef LORY_COMMON_BASE_LOG_H_
#define LORY_COMMON_BASE_LOG_H_

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// One line an event, on stderr: key=value pairs, or JSON when asked for.
//
//   Log(LogLevel::kInfo, "generation started",
//       {{"job", "tiny"}, {"generation", 3}, {"reason", "worker a lost"}});
//
// prints
//   2026-11-22T10:00:00.123Z info "generation started" job=tiny ...
//
// Thread-safe; a line is written whole. Values are quoted when they must be.
namespace lory {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// A key and its value as text; numbers convert by themselves.
struct LogField {
  LogField(absl::string_view key, const absl::AlphaNum& value)
      : key(key), value(value.Piece()) {}
  std::string key;
  std::string value;
};

void Log(LogLevel level, absl::string_view message,
         std::initializer_list<LogField> fields = {});

// Fields that every line of this process carries, such as job and rank.
// Replaces those set before.
void SetLogContext(std::initializer_list<LogField> fields);

// Lines below `level` are dropped. Default: info, text.
void SetLogOptions(LogLevel level, LogFormat format);

}  // namespace lory

#endif  // LORY_COMMON_BASE_LOG_H_
