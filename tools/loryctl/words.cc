#include "tools/loryctl/words.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lory::ctl {

std::string Grouped(int64_t number) {
  std::string digits = absl::StrCat(number);
  const int first = number < 0 ? 1 : 0;
  for (int i = static_cast<int>(digits.size()) - 3; i > first; i -= 3) {
    digits.insert(i, ",");
  }
  return digits;
}

std::string Short(double count) {
  for (const auto& [unit, size] :
       {std::pair(" G", 1e9), std::pair(" M", 1e6), std::pair(" k", 1e3)}) {
    if (count >= size) return absl::StrFormat("%.3g%s", count / size, unit);
  }
  return absl::StrFormat("%.3g", count);
}

std::string Bytes(int64_t bytes) {
  for (const auto& [unit, shift] :
       {std::pair("TiB", 40), std::pair("GiB", 30), std::pair("MiB", 20),
        std::pair("KiB", 10)}) {
    const double size = std::ldexp(1.0, shift);
    if (bytes >= size) return absl::StrFormat("%.1f %s", bytes / size, unit);
  }
  return absl::StrCat(bytes, " B");
}

std::string Percent(double share) {
  return absl::StrFormat("%.0f %%", 100 * share);
}

std::string Decimals(double number, int digits) {
  return absl::StrFormat("%.*f", digits, number);
}

std::string Brief(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  if (seconds < 0) return absl::StrCat("-", Brief(-duration));
  if (seconds < 10) return absl::StrFormat("%.1fs", seconds);
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return absl::StrCat(whole, "s");
  if (whole < 3600) return absl::StrFormat("%dm%02ds", whole / 60, whole % 60);
  const int64_t minutes = whole / 60;
  if (minutes < 24 * 60) {
    return absl::StrFormat("%dh%02dm", minutes / 60, minutes % 60);
  }
  return absl::StrFormat("%dd%02dh", minutes / 1440, minutes / 60 % 24);
}

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

absl::Duration DurationOf(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

std::string Calendar(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, zone);
}

std::string Age(const google::protobuf::Timestamp& time, absl::Time now) {
  if (time.seconds() == 0) return "-";
  // Clocks of two hosts: what happened just now may seem to lie ahead.
  return Brief(std::max(now - TimeOf(time), absl::ZeroDuration()));
}

std::string Bar(double share, int width, bool utf8) {
  const int full =
      static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * width));
  std::string bar;
  for (int i = 0; i < width; ++i) {
    if (utf8) {
      bar += i < full ? "█" : "░";
    } else {
      bar += i < full ? '#' : '.';
    }
  }
  return bar;
}

std::string Heights(const std::vector<double>& values, double highest,
                    bool utf8) {
  static constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄",
                                            "▅", "▆", "▇", "█"};
  static constexpr char kDigits[] = "01234567";
  std::string line;
  for (const double value : values) {
    const double share = highest > 0 ? value / highest : 0;
    const int level = std::clamp(static_cast<int>(share * 8), 0, 7);
    if (utf8) {
      line += kBlocks[level];
    } else {
      line += kDigits[level];
    }
  }
  return line;
}

std::string ShortName(absl::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash != absl::string_view::npos) name.remove_prefix(slash + 1);
  return std::string(name);
}

std::string FullName(absl::string_view collection, absl::string_view name) {
  const std::string prefix = absl::StrCat(collection, "/");
  return absl::StartsWith(name, prefix) ? std::string(name)
                                        : absl::StrCat(prefix, name);
}

}  // namespace lory::ctl
