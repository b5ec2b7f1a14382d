#ifndef LORY_COMMON_CONFIG_YAML_TREE_H_
#define LORY_COMMON_CONFIG_YAML_TREE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The part of YAML that configuration needs, read strictly: maps, lists and
// scalars, each with its line. What hides meaning (anchors, tags, duplicate
// keys, several documents) is an error, so that a file says what it seems to.
namespace lory::config {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  int line = 0;         // from 1
  bool quoted = false;  // kScalar: was written in quotes
  std::string scalar;
  std::vector<YamlNode> items;     // kList
  std::vector<YamlEntry> entries;  // kMap, in the file's order
};

// A key of a map and its value.
struct YamlEntry {
  std::string key;
  int line = 0;
  YamlNode value;
};

// "a map", "a list", "'abc'", "nothing": for error messages.
std::string Describe(const YamlNode& node);

// Limits of one file.
inline constexpr size_t kMaxYamlBytes = 256 << 10;
inline constexpr size_t kMaxYamlDepth = 16;

// Reads one document. INVALID_ARGUMENT: not YAML, not UTF-8, tabs in front of
// a line, empty, too large or too deep, or one of the things above. The
// message starts with `file_name:line: `.
absl::StatusOr<YamlNode> ParseYaml(absl::string_view text,
                                   absl::string_view file_name);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_YAML_TREE_H_
