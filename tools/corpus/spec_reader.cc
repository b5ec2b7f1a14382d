#include "tools/corpus/spec_reader.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/edit_distance.h"
#include "tools/corpus/corpus_spec.h"

namespace lory::corpus {
namespace {

std::string Join(const std::string& path, const std::string& key) {
  return path.empty() ? key : absl::StrCat(path, ".", key);
}

std::string Unknown(const std::string& word,
                    const std::vector<SpecReader::Key>& keys) {
  std::vector<std::string> names;
  for (const SpecReader::Key& key : keys) names.push_back(key.name);
  const std::string near = ClosestWord(word, names);
  return near.empty() ? absl::StrCat("unknown key; known are ",
                                     absl::StrJoin(names, ", "))
                      : absl::StrCat("unknown key; did you mean ", near, "?");
}

}  // namespace

std::string WithPlace(const std::map<std::string, std::string>& places,
                      const std::string& key) {
  const auto place = places.find(key);
  return place == places.end() ? key : absl::StrCat(place->second, ": ", key);
}

void SpecReader::Map(const YamlNode& node, const std::string& path,
                     const std::vector<Key>& keys) {
  if (node.kind != YamlNode::Kind::kMap) {
    return Fail(node.line, path, "must be a map");
  }
  for (const config::YamlEntry& entry : node.entries) {
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& k) {
      return k.name == entry.key;
    });
    const std::string here = Join(path, entry.key);
    if (key == keys.end()) {
      Fail(entry.line, here, Unknown(entry.key, keys));
    } else {
      places_[here] = LineOf(entry.line);
      key->read(entry.value, here);
    }
  }
  for (const Key& key : keys) {
    const bool there = std::any_of(
        node.entries.begin(), node.entries.end(),
        [&](const config::YamlEntry& entry) { return entry.key == key.name; });
    if (key.required && !there) {
      Fail(node.line, Join(path, key.name), "is missing");
    }
  }
}

bool SpecReader::TakeWhole(const YamlNode& node, const std::string& path,
                           int64_t low, int64_t high, int64_t* value) {
  if (node.kind != YamlNode::Kind::kScalar || node.quoted ||
      !absl::SimpleAtoi(node.scalar, value)) {
    Fail(node.line, path,
         absl::StrCat("must be a whole number, not ", config::Describe(node)));
    return false;
  }
  if (*value >= low && *value <= high) return true;
  Fail(node.line, path,
       absl::StrCat("is ", *value, "; must be from ", low, " to ", high));
  return false;
}

SpecReader::Read SpecReader::Share(double* target, double low, double high) {
  return [=, this](const YamlNode& node, const std::string& path) {
    double value = 0;
    if (node.kind != YamlNode::Kind::kScalar || node.quoted ||
        !absl::SimpleAtod(node.scalar, &value)) {
      return Fail(
          node.line, path,
          absl::StrCat("must be a number, not ", config::Describe(node)));
    }
    // Written so that NaN fails too.
    if (!(value >= low && value <= high)) {
      return Fail(
          node.line, path,
          absl::StrCat("is ", value, "; must be from ", low, " to ", high));
    }
    *target = value;
  };
}

SpecReader::Read SpecReader::Text(std::string* target) {
  return [=, this](const YamlNode& node, const std::string& path) {
    if (node.kind != YamlNode::Kind::kScalar || node.scalar.empty()) {
      return Fail(node.line, path,
                  absl::StrCat("must be text, not ", config::Describe(node)));
    }
    *target = node.scalar;
  };
}

SpecReader::Read SpecReader::OneOf(std::string* target,
                                   std::vector<std::string> known) {
  return [=, this, known = std::move(known)](const YamlNode& node,
                                             const std::string& path) {
    if (node.kind == YamlNode::Kind::kScalar &&
        std::find(known.begin(), known.end(), node.scalar) != known.end()) {
      *target = node.scalar;
      return;
    }
    Fail(node.line, path,
         absl::StrCat("must be ", absl::StrJoin(known, " or "), ", not ",
                      config::Describe(node)));
  };
}

SpecReader::Read SpecReader::Flag(bool* target) {
  return [=, this](const YamlNode& node, const std::string& path) {
    if (node.kind != YamlNode::Kind::kScalar || node.quoted ||
        (node.scalar != "true" && node.scalar != "false")) {
      return Fail(
          node.line, path,
          absl::StrCat("must be true or false, not ", config::Describe(node)));
    }
    *target = node.scalar == "true";
  };
}

SpecReader::Read SpecReader::Name(std::string* target) {
  return [=, this](const YamlNode& node, const std::string& path) {
    Text(target)(node, path);
    if (!target->empty() && !IsDomainName(*target)) {
      Fail(node.line, path,
           "may have up to 64 letters, digits, '-', '_' and '.' only");
    }
  };
}

SpecReader::Read SpecReader::Names(std::vector<std::string>* target) {
  return [=, this](const YamlNode& node, const std::string& path) {
    if (node.kind != YamlNode::Kind::kList) {
      return Fail(node.line, path, "must be a list of names");
    }
    for (const YamlNode& item : node.items) {
      Name (&target->emplace_back())(item, path);
    }
  };
}

SpecReader::Read SpecReader::Path(std::string* target,
                                  const std::string& folder) {
  return [=, this](const YamlNode& node, const std::string& path) {
    Text(target)(node, path);
    if (!target->empty()) {
      *target =
          (std::filesystem::path(folder) / *target).lexically_normal().string();
    }
  };
}

void SpecReader::Fail(int line, absl::string_view path,
                      absl::string_view what) {
  errors_.push_back(absl::StrCat(LineOf(line), ": ", path, ": ", what));
}

absl::Status SpecReader::status() const {
  if (errors_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors_, "\n"));
}

std::string SpecReader::LineOf(int line) const {
  return absl::StrCat(file_name_, ":", line);
}

}  // namespace lory::corpus
