#include "tools/verify/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace lory::verify {
namespace {

// A broken run breaks at every step; the first few places are what helps.
constexpr size_t kDetailsShown = 8;

}  // namespace

bool Report::ok() const {
  return std::all_of(verdicts.begin(), verdicts.end(),
                     [](const Verdict& verdict) { return verdict.ok(); });
}

std::string ToText(const Report& report) {
  std::string text = absl::StrCat(report.subject, "\n");
  for (const Verdict& verdict : report.verdicts) {
    absl::StrAppend(&text, verdict.ok() ? "ok      " : "FAILED  ",
                    verdict.invariant(), "\n");
    const auto& failures = verdict.failures();
    for (size_t i = 0; i < failures.size() && i < kDetailsShown; ++i) {
      absl::StrAppend(&text, "          ", failures[i], "\n");
    }
    if (failures.size() > kDetailsShown) {
      absl::StrAppend(&text, "          and ", failures.size() - kDetailsShown,
                      " more\n");
    }
    for (const std::string& note : verdict.notes()) {
      absl::StrAppend(&text, "          note: ", note, "\n");
    }
  }
  if (report.samples_lost >= 0) {
    absl::StrAppend(&text, "samples lost: ", report.samples_lost,
                    "  repeated: ", report.samples_repeated,
                    "  steps: ", report.steps,
                    "  generations: ", report.generations,
                    "  recoveries: ", report.recoveries, "\n");
  }
  return text;
}

std::string ToJson(const Report& report) {
  nlohmann::ordered_json json;
  json["subject"] = report.subject;
  json["ok"] = report.ok();
  json["invariants"] = nlohmann::ordered_json::array();
  for (const Verdict& verdict : report.verdicts) {
    json["invariants"].push_back({{"invariant", verdict.invariant()},
                                  {"ok", verdict.ok()},
                                  {"failures", verdict.failures()},
                                  {"notes", verdict.notes()}});
  }
  if (report.samples_lost >= 0) {
    json["samples_lost"] = report.samples_lost;
    json["samples_repeated"] = report.samples_repeated;
    json["steps"] = report.steps;
    json["generations"] = report.generations;
    json["recoveries"] = report.recoveries;
  }
  return absl::StrCat(
      json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace), "\n");
}

}  // namespace lory::verify
