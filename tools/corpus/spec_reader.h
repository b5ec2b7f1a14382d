#ifndef LORY_TOOLS_CORPUS_SPEC_READER_H_
#define LORY_TOOLS_CORPUS_SPEC_READER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/config/yaml_tree.h"

namespace lory::corpus {

// "corpus.yaml:7: neighbors.k", or the key alone where no file has it.
std::string WithPlace(const std::map<std::string, std::string>& places,
                      const std::string& key);

// Takes the values of a YAML tree in and collects what is wrong with it, each
// with its line: "corpus.yaml:7: neighbours: unknown key; did you mean
// neighbors?". Paths of keys are as in "neighbors.k". Thread-compatible.
class SpecReader {
 public:
  using YamlNode = config::YamlNode;
  // Takes one value in. Targets live as long as the reader is used.
  using Read =
      std::function<void(const YamlNode& node, const std::string& path)>;

  // A key that a map may have, and what takes its value in.
  struct Key {
    std::string name;
    Read read;
    bool required = false;
  };

  explicit SpecReader(absl::string_view file_name) : file_name_(file_name) {}

  void Map(const YamlNode& node, const std::string& path,
           const std::vector<Key>& keys);

  template <typename T>
  Read Whole(T* target, int64_t low, int64_t high) {
    return [=, this](const YamlNode& node, const std::string& path) {
      int64_t value = 0;
      if (TakeWhole(node, path, low, high, &value)) {
        *target = static_cast<T>(value);
      }
    };
  }
  Read Share(double* target, double low, double high);
  Read Text(std::string* target);
  Read OneOf(std::string* target, std::vector<std::string> known);
  Read Flag(bool* target);
  // A name that can be part of file names, or a list of them.
  Read Name(std::string* target);
  Read Names(std::vector<std::string>* target);
  // Relative ones are taken from `folder`.
  Read Path(std::string* target, const std::string& folder);

  void Fail(int line, absl::string_view path, absl::string_view what);

  // INVALID_ARGUMENT: all that failed, a line each.
  absl::Status status() const;
  // "corpus.yaml:7" by the path of each key that was read.
  const std::map<std::string, std::string>& places() const { return places_; }
  std::string PlaceOf(const std::string& key) const {
    return WithPlace(places_, key);
  }

 private:
  bool TakeWhole(const YamlNode& node, const std::string& path, int64_t low,
                 int64_t high, int64_t* value);
  std::string LineOf(int line) const;

  const std::string file_name_;
  std::vector<std::string> errors_;
  std::map<std::string, std::string> places_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_SPEC_READER_H_
