#ifndef LORY_WORKER_TRAIN_TORCH_GUARD_H_
#define LORY_WORKER_TRAIN_TORCH_GUARD_H_

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

// The one place where LibTorch's exceptions end: the project itself throws
// none.
namespace lory::train {

namespace internal {

template <typename T>
struct IsStatusOr : std::false_type {};
template <typename T>
struct IsStatusOr<absl::StatusOr<T>> : std::true_type {};

// What GuardTorch returns for a callable that returns T.
template <typename T>
struct Guarded {
  using type = std::conditional_t<IsStatusOr<T>::value, T, absl::StatusOr<T>>;
};
template <>
struct Guarded<void> {
  using type = absl::Status;
};
template <>
struct Guarded<absl::Status> {
  using type = absl::Status;
};

// LibTorch has no exception of its own for host memory, only this text.
inline bool MeansOutOfMemory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         absl::StrContains(error.what_without_backtrace(),
                           "can't allocate memory");
}

}  // namespace internal

// Calls `callable` and returns what it returns, as a status or StatusOr;
// exceptions become
//   RESOURCE_EXHAUSTED  memory of the host or the device ran out
//   INTERNAL            anything else
// with `what` in front of the message.
//
//   LORY_ASSIGN_OR_RETURN(ForwardResult result, GuardTorch("forward pass",
//       [&] { return model.Forward(tokens_BL, targets_BL); }));
template <typename Callable>
auto GuardTorch(absl::string_view what, Callable&& callable) ->
    typename internal::Guarded<std::invoke_result_t<Callable>>::type {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Callable>>) {
      std::forward<Callable>(callable)();
      return absl::OkStatus();
    } else {
      return std::forward<Callable>(callable)();
    }
  } catch (const c10::Error& error) {
    const std::string message =
        absl::StrCat(what, ": ", error.what_without_backtrace());
    return internal::MeansOutOfMemory(error)
               ? absl::ResourceExhaustedError(message)
               : absl::InternalError(message);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(what, ": out of memory"));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(what, ": ", error.what()));
  }
}

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_TORCH_GUARD_H_
