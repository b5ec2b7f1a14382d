#include "common/metrics/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/base/check.h"
#include "common/base/mutex.h"
#include "common/metrics/process_metrics.h"

namespace lory::metrics {
namespace {

enum class Kind { kGauge, kCounter, kHistogram };

absl::string_view NameOf(Kind kind) {
  switch (kind) {
    case Kind::kGauge:
      return "gauge";
    case Kind::kCounter:
      return "counter";
    case Kind::kHistogram:
      return "histogram";
  }
  return "unknown";
}

prometheus::MetricType TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kGauge:
      return prometheus::MetricType::Gauge;
    case Kind::kCounter:
      return prometheus::MetricType::Counter;
    case Kind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

// Units that are not base units; and endings that the text format keeps for
// parts of histograms and summaries.
constexpr std::array<absl::string_view, 12> kBadEndings = {
    "_ms",    "_milliseconds", "_microseconds", "_minutes",
    "_hours", "_percent",      "_kilobytes",    "_megabytes",
    "_mb",    "_bucket",       "_count",        "_sum"};

bool IsGoodName(absl::string_view name, Kind kind) {
  if (!absl::StartsWith(name, "lory_")) return false;
  for (const char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '_') {
      return false;
    }
  }
  for (const absl::string_view ending : kBadEndings) {
    if (absl::EndsWith(name, ending)) return false;
  }
  return absl::EndsWith(name, "_total") == (kind == Kind::kCounter);
}

struct Series {
  double value = 0;                  // gauge, counter; sum of a histogram
  std::vector<uint64_t> per_bucket;  // one more than bounds: +Inf
};

struct Declared {
  Kind kind = Kind::kGauge;
  std::string help;
  std::vector<double> bounds;
  std::map<Labels, Series> series;
};

prometheus::ClientMetric ToClient(const Declared& family, const Labels& labels,
                                  const Series& series) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : labels) {
    metric.label.push_back({name, value});
  }
  if (family.kind == Kind::kGauge) metric.gauge.value = series.value;
  if (family.kind == Kind::kCounter) metric.counter.value = series.value;
  if (family.kind == Kind::kHistogram) {
    uint64_t cumulative = 0;
    for (size_t i = 0; i < family.bounds.size(); ++i) {
      cumulative += series.per_bucket[i];
      metric.histogram.bucket.push_back({cumulative, family.bounds[i]});
    }
    metric.histogram.sample_count = cumulative + series.per_bucket.back();
    metric.histogram.sample_sum = series.value;
  }
  return metric;
}

}  // namespace

struct Registry::State {
  mutable Mutex mutex;
  std::map<std::string, Declared> families ABSL_GUARDED_BY(mutex);

  void Declare(const std::string& name, Declared family) {
    LORY_CHECK(IsGoodName(name, family.kind));
    LORY_CHECK(!family.help.empty());
    MutexLock lock(&mutex);
    LORY_CHECK(families.emplace(name, std::move(family)).second);
  }

  Series& Find(const std::string& name, Kind kind, const Labels& labels)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const auto family = families.find(name);
    LORY_CHECK(family != families.end() && family->second.kind == kind);
    return family->second.series[labels];
  }
};

Registry::Registry() : state_(std::make_unique<State>()) {
  DeclareGauge("lory_build_info", "Always 1; the labels say what runs.");
  Set("lory_build_info", {{"version", LORY_VERSION}}, 1);
}

Registry::~Registry() = default;

void Registry::DeclareGauge(const std::string& name, const std::string& help) {
  state_->Declare(name, {.kind = Kind::kGauge, .help = help});
}

void Registry::DeclareCounter(const std::string& name,
                              const std::string& help) {
  state_->Declare(name, {.kind = Kind::kCounter, .help = help});
}

void Registry::DeclareHistogram(const std::string& name,
                                const std::string& help,
                                std::vector<double> bounds) {
  LORY_CHECK(std::is_sorted(bounds.begin(), bounds.end()));
  state_->Declare(
      name,
      {.kind = Kind::kHistogram, .help = help, .bounds = std::move(bounds)});
}

void Registry::Set(const std::string& name, const Labels& labels,
                   double value) {
  MutexLock lock(&state_->mutex);
  state_->Find(name, Kind::kGauge, labels).value = value;
}

void Registry::Add(const std::string& name, const Labels& labels,
                   double amount) {
  LORY_CHECK(amount >= 0);
  MutexLock lock(&state_->mutex);
  state_->Find(name, Kind::kCounter, labels).value += amount;
}

void Registry::Observe(const std::string& name, const Labels& labels,
                       double value) {
  MutexLock lock(&state_->mutex);
  Series& series = state_->Find(name, Kind::kHistogram, labels);
  const std::vector<double>& bounds = state_->families.at(name).bounds;
  series.per_bucket.resize(bounds.size() + 1);
  // A value equal to a bound belongs below it: buckets are "less or equal".
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), value);
  ++series.per_bucket[static_cast<size_t>(bucket - bounds.begin())];
  series.value += value;
}

void Registry::RemoveMatching(const Labels& labels) {
  MutexLock lock(&state_->mutex);
  for (auto& [name, family] : state_->families) {
    std::erase_if(family.series, [&labels](const auto& series) {
      return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
        const auto found = series.first.find(label.first);
        return found != series.first.end() && found->second == label.second;
      });
    });
  }
}

std::string Registry::Serialize() const {
  std::vector<prometheus::MetricFamily> families = ProcessMetrics();
  {
    MutexLock lock(&state_->mutex);
    for (const auto& [name, family] : state_->families) {
      if (family.series.empty()) continue;
      prometheus::MetricFamily& out = families.emplace_back();
      out.name = name;
      out.help = family.help;
      out.type = TypeOf(family.kind);
      for (const auto& [labels, series] : family.series) {
        out.metric.push_back(ToClient(family, labels, series));
      }
    }
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return text.str();
}

std::vector<Registry::Family> Registry::families() const {
  MutexLock lock(&state_->mutex);
  std::vector<Family> families;
  for (const auto& [name, family] : state_->families) {
    families.push_back({name, std::string(NameOf(family.kind)), family.help});
  }
  return families;
}

}  // namespace lory::metrics
