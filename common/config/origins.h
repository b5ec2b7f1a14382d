#ifndef LORY_COMMON_CONFIG_ORIGINS_H_
#define LORY_COMMON_CONFIG_ORIGINS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// Which line of which file said what, so that an error found long after
// reading still names it.
namespace lory::config {

// Something that values come from: a file, or an override of the command line.
struct Source {
  std::string name;       // "job.yaml", "--set steps=x"
  bool has_lines = true;  // an override has none

  // "job.yaml:12", or the name alone.
  std::string At(int line) const;
};

// Field paths (spec.model.width) to where they were set. A value type.
class Origins {
 public:
  void Set(absl::string_view path, std::string where);

  // Whether `path` itself was set.
  bool Has(absl::string_view path) const;

  // Where `path` was set. Else where the nearest message around it is, which
  // is where a missing value belongs. Empty: nothing is known.
  std::string Find(absl::string_view path) const;

 private:
  std::map<std::string, std::string> where_;
};

// What is wrong with a file, all of it: a person mends it in one go.
class Problems {
 public:
  void Add(std::string where, absl::string_view field, absl::string_view text);

  bool empty() const { return lines_.empty(); }
  // Whether there is one with this field.
  bool Has(absl::string_view field) const;

  // INVALID_ARGUMENT, reason FIELD_INVALID, one line a problem: "job.yaml:12:
  // model.width: ..."; field violations in the payload, with the paths of the
  // proto (spec.model.width). OK: no problem.
  absl::Status ToStatus() const;

 private:
  struct Line {
    std::string where;
    std::string field;
    std::string text;
  };
  std::vector<Line> lines_;
};

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_ORIGINS_H_
