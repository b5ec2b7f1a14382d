#ifndef LORY_COMMON_METRICS_METRICS_H_
#define LORY_COMMON_METRICS_METRICS_H_

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// Prometheus metrics of one process. Wraps prometheus-cpp; names are checked
// (prefix lory_, base units, counters end in _total).
namespace lory::metrics {

using Labels = std::map<std::string, std::string>;

// Thread-safe. A series that was set stays until RemoveMatching.
class Registry {
 public:
  Registry();
  ~Registry();

  // Declares a family; once each, before it is used. A wrong name is a
  // mistake of the programmer and ends the process.
  void DeclareGauge(const std::string& name, const std::string& help);
  void DeclareCounter(const std::string& name, const std::string& help);
  // `bounds`: upper bounds of the buckets, ascending.
  void DeclareHistogram(const std::string& name, const std::string& help,
                        std::vector<double> bounds);

  void Set(const std::string& name, const Labels& labels, double value);
  void Add(const std::string& name, const Labels& labels, double amount = 1);
  void Observe(const std::string& name, const Labels& labels, double value);

  // Drops every series, of all families, that has all of `labels`.
  void RemoveMatching(const Labels& labels);

  // The page at /metrics, in Prometheus' text format 0.0.4. Includes the
  // process_* family and lory_build_info.
  std::string Serialize() const;

  // Declared names with their kind and help, for docs and dashboards checks.
  struct Family {
    std::string name, kind, help;
  };
  std::vector<Family> families() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lory::metrics

#endif  // LORY_COMMON_METRICS_METRICS_H_
