#include "tools/loryctl/study_file.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/edit_distance.h"
#include "common/base/status_macros.h"
#include "common/config/origins.h"
#include "common/config/yaml_tree.h"
#include "common/io/storage.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_checks.h"

namespace lory::ctl {
namespace {

using ::lory::config::Problems;
using ::lory::config::Source;
using ::lory::config::YamlEntry;
using ::lory::config::YamlNode;

constexpr size_t kLongestJobName = 63;
constexpr absl::string_view kReadmeHint = "docs/studies/README.md has one";

// What a name in a study may be, so that a job's name can be made of it.
bool IsWord(absl::string_view text) {
  return !text.empty() && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

// Reads one study.yaml; notes everything that is wrong.
class StudyReader {
 public:
  StudyReader(StudyFile& study, Problems& problems)
      : study_(study), problems_(problems), source_{.name = study.path} {}

  void Read(const YamlNode& root) {
    const std::vector<std::string> known = {"name",  "base",     "base_file",
                                            "seeds", "variants", "reference"};
    for (const YamlEntry& entry : root.entries) {
      CheckKey(entry, "", known);
      if (entry.key == "name") ReadName(entry);
      if (entry.key == "base") ReadBase(entry);
      if (entry.key == "base_file") ReadBaseFile(entry);
      if (entry.key == "seeds") ReadSeeds(entry);
      if (entry.key == "variants") ReadVariants(entry);
      seen_.insert(entry.key);
    }
    const int line = std::max(1, root.line);
    if (seen_.count("base") + seen_.count("base_file") != 1) {
      Fail(line, "base",
           "write either base: with the keys of a job.yaml, or base_file: "
           "with the path of one");
    }
    for (const char* key : {"name", "seeds", "variants"}) {
      if (seen_.count(key) == 0) Fail(line, key, "missing");
    }
    for (const YamlEntry& entry : root.entries) {
      if (entry.key != "reference") continue;
      study_.reference = Find(entry.value.scalar, entry.line, "reference");
    }
    for (StudyVariant& variant : study_.variants) {
      variant.reference =
          variant.against.empty()
              ? study_.reference
              : Find(variant.against, variant.line, "variants.against");
    }
    CheckNameLengths();
  }

 private:
  void Fail(int line, absl::string_view key, absl::string_view text) {
    problems_.Add(source_.At(line), key, text);
  }

  void CheckKey(const YamlEntry& entry, const std::string& path,
                const std::vector<std::string>& known) {
    if (std::count(known.begin(), known.end(), entry.key) != 0) return;
    const std::string best = ClosestWord(entry.key, known);
    Fail(entry.line, absl::StrCat(path, entry.key),
         best.empty() ? absl::StrCat("unknown key; known are ",
                                     absl::StrJoin(known, ", "))
                      : absl::StrCat("unknown key; did you mean ", best, "?"));
  }

  std::string Word(const YamlEntry& entry, absl::string_view key) {
    if (entry.value.kind == YamlNode::Kind::kScalar &&
        IsWord(entry.value.scalar)) {
      return entry.value.scalar;
    }
    Fail(entry.line, key,
         absl::StrCat(Describe(entry.value),
                      " where a word of lower-case letters, digits and hyphens "
                      "belongs: names of jobs are made of it"));
    return "";
  }

  void ReadName(const YamlEntry& entry) {
    study_.name = Word(entry, "name");
    if (!study_.name.empty() && !absl::ascii_islower(study_.name.front())) {
      Fail(entry.line, "name",
           absl::StrCat("'", study_.name, "' does not begin with a letter"));
    }
  }

  void ReadBase(const YamlEntry& entry) {
    study_.base = {.source = source_, .root = entry.value};
    if (entry.value.kind != YamlNode::Kind::kMap) {
      Fail(entry.line, "base",
           absl::StrCat(Describe(entry.value),
                        " where the keys of a job.yaml belong"));
    }
  }

  void ReadBaseFile(const YamlEntry& entry) {
    if (entry.value.kind != YamlNode::Kind::kScalar) {
      return Fail(entry.line, "base_file",
                  absl::StrCat(Describe(entry.value), " where a path belongs"));
    }
    const std::string path = std::filesystem::path(study_.path)
                                 .parent_path()
                                 .append(entry.value.scalar)
                                 .lexically_normal()
                                 .string();
    study_.base.source.name = path;
    const auto text = io::LocalStorage().Read(path);
    if (!text.ok()) {
      return Fail(entry.line, "base_file",
                  absl::StrCat(text.status().message(),
                               "; the path is taken from the study's folder"));
    }
    auto root = config::ParseYaml(*text, path);
    if (!root.ok()) {
      return problems_.Add(std::string(root.status().message()), "", "");
    }
    study_.base.root = *std::move(root);
    study_.base_text = *text;
  }

  void ReadSeeds(const YamlEntry& entry) {
    if (entry.value.items.empty()) {
      return Fail(entry.line, "seeds",
                  "no seeds; write a list such as [1, 2, 3]");
    }
    for (const YamlNode& item : entry.value.items) {
      int64_t seed = -1;
      if (!absl::SimpleAtoi(item.scalar, &seed) || seed < 0) {
        Fail(item.line, "seeds",
             absl::StrCat(Describe(item), " is not a whole number from 0"));
      } else if (std::count(study_.seeds.begin(), study_.seeds.end(), seed)) {
        Fail(item.line, "seeds", absl::StrCat(seed, " is given twice"));
      } else {
        study_.seeds.push_back(seed);
      }
    }
  }

  void ReadVariants(const YamlEntry& entry) {
    if (entry.value.items.empty()) {
      return Fail(entry.line, "variants",
                  "no variants; write a list of {name: ..., set: {...}}");
    }
    for (const YamlNode& item : entry.value.items) ReadVariant(item);
  }

  void ReadVariant(const YamlNode& item) {
    StudyVariant variant{.line = item.line};
    if (item.kind != YamlNode::Kind::kMap) {
      return Fail(item.line, "variants",
                  absl::StrCat(Describe(item),
                               " where {name: ..., set: {...}} belongs"));
    }
    bool has_name = false;
    for (const YamlEntry& entry : item.entries) {
      CheckKey(entry, "variants.", {"name", "set", "dataset", "against"});
      if (entry.key == "name") {
        has_name = true;
        variant.name = Word(entry, "variants.name");
      }
      if (entry.key == "set") ReadSet(entry, variant);
      if (entry.key == "dataset") AddLayer(entry, variant);
      if (entry.key == "against") {
        variant.against = Word(entry, "variants.against");
      }
    }
    if (!has_name) Fail(item.line, "variants.name", "missing");
    const auto is_same = [&](const StudyVariant& other) {
      return !variant.name.empty() && other.name == variant.name;
    };
    if (std::any_of(study_.variants.begin(), study_.variants.end(), is_same)) {
      Fail(item.line, "variants.name",
           absl::StrCat("two variants are called ", variant.name));
    }
    study_.variants.push_back(std::move(variant));
  }

  void ReadSet(const YamlEntry& entry, StudyVariant& variant) {
    if (entry.value.kind != YamlNode::Kind::kMap) {
      return Fail(entry.line, "variants.set",
                  absl::StrCat(Describe(entry.value),
                               " where fields belong, such as "
                               "{optimizer.learning_rate: 1e-3}"));
    }
    for (const YamlEntry& field : entry.value.entries) {
      if (field.key == "seed" || field.key == "name") {
        Fail(field.line, absl::StrCat("variants.set.", field.key),
             absl::StrCat("is made by the study; take it out, and change ",
                          field.key == "seed" ? "seeds" : "the variant's name",
                          " instead"));
        continue;
      }
      AddLayer(field, variant);
    }
  }

  void AddLayer(const YamlEntry& entry, StudyVariant& variant) {
    auto layer = config::LayerAt(entry.key, entry.line, source_, entry.value);
    if (!layer.ok()) {
      return problems_.Add(std::string(layer.status().message()), "", "");
    }
    layer->replaces_below =
        static_cast<int>(std::count(entry.key.begin(), entry.key.end(), '.'));
    variant.layers.push_back(*std::move(layer));
  }

  // The variant of this name.
  size_t Find(const std::string& wanted, int line, absl::string_view key) {
    std::vector<std::string> names;
    for (const StudyVariant& variant : study_.variants) {
      names.push_back(variant.name);
    }
    const auto found = std::find(names.begin(), names.end(), wanted);
    if (found != names.end()) return static_cast<size_t>(found - names.begin());
    const std::string best = ClosestWord(wanted, names);
    Fail(line, key,
         best.empty() ? absl::StrCat("'", wanted, "' is none of the variants ",
                                     absl::StrJoin(names, ", "))
                      : absl::StrCat("'", wanted,
                                     "' is no variant; did you "
                                     "mean ",
                                     best, "?"));
    return 0;
  }

  void CheckNameLengths() {
    for (const StudyVariant& variant : study_.variants) {
      for (const int64_t seed : study_.seeds) {
        const std::string name = StudyJobName(study_, variant, seed);
        if (name.size() <= kLongestJobName) continue;
        Fail(variant.line, "variants.name",
             absl::StrCat("the job would be called ", name, ", ", name.size(),
                          " characters; ", kLongestJobName, " are allowed"));
        break;
      }
    }
  }

  StudyFile& study_;
  Problems& problems_;
  Source source_;
  std::set<std::string> seen_;
};

// What is wrong with any of the jobs, each line once.
absl::Status CheckAllJobs(const StudyFile& study) {
  std::vector<std::string> lines;
  for (const StudyVariant& variant : study.variants) {
    const absl::Status status =
        StudyJobFile(study, variant, study.seeds.front()).status();
    if (status.ok()) continue;
    for (const absl::string_view line :
         absl::StrSplit(status.message(), '\n')) {
      if (std::count(lines.begin(), lines.end(), line) == 0) {
        lines.emplace_back(line);
      }
    }
  }
  if (lines.empty()) return absl::OkStatus();
  return WithHint(absl::InvalidArgumentError(absl::StrJoin(lines, "\n")),
                  "loryctl help job-file");
}

}  // namespace

absl::StatusOr<StudyFile> ReadStudyFile(const std::string& path) {
  StudyFile study;
  study.path = path;
  auto text = io::LocalStorage().Read(path);
  if (!text.ok()) {
    return WithHint(text.status(), absl::StatusCode::kNotFound, kReadmeHint);
  }
  study.text = *std::move(text);
  LORY_ASSIGN_OR_RETURN(const YamlNode root,
                        config::ParseYaml(study.text, path));
  if (root.kind != YamlNode::Kind::kMap) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(
                        path, ":", root.line, ": ", Describe(root),
                        " where keys belong, such as `name: small`")),
                    kReadmeHint);
  }
  Problems problems;
  StudyReader(study, problems).Read(root);
  LORY_RETURN_IF_ERROR(WithHint(problems.ToStatus(), kReadmeHint));
  LORY_RETURN_IF_ERROR(CheckAllJobs(study));
  return study;
}

std::string StudyJobName(const StudyFile& study, const StudyVariant& variant,
                         int64_t seed) {
  return absl::StrCat(study.name, "-", variant.name, "-s", seed);
}

absl::StatusOr<config::JobFile> StudyJobFile(const StudyFile& study,
                                             const StudyVariant& variant,
                                             int64_t seed) {
  std::vector<config::JobLayer> layers = {study.base};
  layers.insert(layers.end(), variant.layers.begin(), variant.layers.end());
  LORY_ASSIGN_OR_RETURN(
      config::JobFile file,
      config::ReadJobLayers(std::move(layers), FindFileViolations));
  file.name = StudyJobName(study, variant, seed);
  file.spec.set_seed(seed);
  LORY_RETURN_IF_ERROR(CheckJobFile(file));
  return file;
}

}  // namespace lory::ctl
