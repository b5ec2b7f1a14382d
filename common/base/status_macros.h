#ifndef LORY_COMMON_BASE_STATUS_MACROS_H_
#define LORY_COMMON_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// Passing errors on. The shape follows the status macros of newer Abseil
// releases, so that this file can go once the platform has them.
//
//   LORY_RETURN_IF_ERROR(file.Sync());
//   LORY_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(path));

#define LORY_RETURN_IF_ERROR(expression)                            \
  do {                                                              \
    if (absl::Status lory_status = (expression); !lory_status.ok()) \
      return lory_status;                                           \
  } while (false)

#define LORY_STATUS_CONCAT_INNER(a, b) a##b
#define LORY_STATUS_CONCAT(a, b) LORY_STATUS_CONCAT_INNER(a, b)

#define LORY_ASSIGN_OR_RETURN(target, expression)                             \
  LORY_ASSIGN_OR_RETURN_INNER(LORY_STATUS_CONCAT(lory_or_, __LINE__), target, \
                              expression)
#define LORY_ASSIGN_OR_RETURN_INNER(temporary, target, expression) \
  auto temporary = (expression);                                   \
  if (!temporary.ok()) return std::move(temporary).status();       \
  target = *std::move(temporary)

namespace lory {

// The same status with `context` and a colon before its message: once a layer.
inline absl::Status Annotate(const absl::Status& status,
                             absl::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(),
                         absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view type, const absl::Cord& value) {
    annotated.SetPayload(type, value);
  });
  return annotated;
}

// Drops a status on purpose; `why` is for the reader of the code.
inline void IgnoreStatus(const absl::Status&, absl::string_view /*why*/) {}

}  // namespace lory

#endif  // LORY_COMMON_BASE_STATUS_MACROS_H_
