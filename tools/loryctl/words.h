#ifndef LORY_TOOLS_LORYCTL_WORDS_H_
#define LORY_TOOLS_LORYCTL_WORDS_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// Numbers, times and shares as people read them.
namespace lory::ctl {

std::string Grouped(int64_t number);              // 1,234,567
std::string Short(double count);                  // 1.85 M
std::string Bytes(int64_t bytes);                 // 12.3 MiB
std::string Percent(double share);                // 42 %
std::string Decimals(double number, int digits);  // 4.512

// "42s", "3m10s", "2h05m", "3d04h": two units, for people in a hurry.
std::string Brief(absl::Duration duration);

absl::Time TimeOf(const google::protobuf::Timestamp& time);
absl::Duration DurationOf(const google::protobuf::Duration& duration);

// 2026-11-22 10:00:03, in `zone`.
std::string Calendar(absl::Time time, absl::TimeZone zone);

// "3m10s" since `time`; "-" where it was never set.
std::string Age(const google::protobuf::Timestamp& time, absl::Time now);

// A bar of `width` columns, `share` of it full.
std::string Bar(double share, int width, bool utf8);

// One character a value, its height by value / highest.
std::string Heights(const std::vector<double>& values, double highest,
                    bool utf8);

// The last part of a resource's name: "tiny" of "jobs/tiny".
std::string ShortName(absl::string_view name);

// "jobs/tiny" of "tiny" and of itself; `collection` is "jobs".
std::string FullName(absl::string_view collection, absl::string_view name);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_WORDS_H_
