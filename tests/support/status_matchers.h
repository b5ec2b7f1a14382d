#ifndef LORY_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define LORY_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

// Matchers for absl::Status and absl::StatusOr, shaped like those of newer
// Abseil releases.
//
//   LORY_ASSERT_OK_AND_ASSIGN(Manifest manifest, ReadManifest(path));
//   EXPECT_THAT(Load(path), StatusIs(absl::StatusCode::kDataLoss,
//                                    HasSubstr("part-0")));
namespace lory::testing {

inline const absl::Status& GetStatus(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

MATCHER_P2(StatusIs, code, message_matcher, "") {
  const absl::Status& status = GetStatus(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         ::testing::ExplainMatchResult(
             message_matcher, std::string(status.message()), result_listener);
}

}  // namespace lory::testing

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::lory::testing::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::lory::testing::IsOk())

#define LORY_TEST_CONCAT_INNER(a, b) a##b
#define LORY_TEST_CONCAT(a, b) LORY_TEST_CONCAT_INNER(a, b)
#define LORY_ASSERT_OK_AND_ASSIGN(target, expression)                   \
  LORY_ASSERT_OK_AND_ASSIGN_INNER(LORY_TEST_CONCAT(lory_or_, __LINE__), \
                                  target, expression)
#define LORY_ASSERT_OK_AND_ASSIGN_INNER(temporary, target, expression) \
  auto temporary = (expression);                                       \
  ASSERT_TRUE(temporary.ok()) << temporary.status();                   \
  target = *std::move(temporary)

#endif  // LORY_TESTS_SUPPORT_STATUS_MATCHERS_H_
