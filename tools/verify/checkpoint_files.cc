#include "tools/verify/checkpoint_files.h"

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/hash.h"
#include "common/config/model_shape.h"
#include "common/data/checkpoint_manifest.h"
#include "common/data/tensor_rows.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"

namespace lory::verify {
namespace {

using ::lory::v1::Checkpoint;
using ::lory::v1::CheckpointPart;
using Shapes = std::map<std::string, std::vector<int64_t>>;

std::string PathOf(const std::string& folder, const CheckpointPart& part) {
  return absl::StrCat(folder, "/", part.file());
}

void CheckMetadata(const Checkpoint& checkpoint, const CheckpointPart& part,
                   const io::SafetensorsReader& reader, const std::string& path,
                   Verdict& verdict) {
  const std::map<std::string, std::string> wanted = {
      {"step", absl::StrCat(checkpoint.step())},
      {"generation", absl::StrCat(checkpoint.generation())},
      {"part_index", absl::StrCat(part.index())},
      {"part_count", absl::StrCat(part.count())},
      {"sample_digest", absl::BytesToHexString(checkpoint.sample_digest())}};
  for (const auto& [key, value] : wanted) {
    const auto found = reader.metadata().find(key);
    const std::string is =
        found == reader.metadata().end() ? "nothing" : found->second;
    if (is != value) {
      verdict.Fail(
          absl::StrCat(path, ": its ", key, " is ", is, ", want ", value));
    }
  }
}

// Puts tensors together whose rows lie in several parts. Up to the first hole:
// such a tensor is then seen to have too few rows.
Shapes JoinRows(const Shapes& found) {
  std::map<std::string, std::map<int64_t, std::vector<int64_t>>> pieces;
  Shapes joined;
  for (const auto& [name, sizes] : found) {
    const auto rows = data::ParseRowsName(name);
    if (rows.has_value() && !sizes.empty()) {
      pieces[rows->tensor][rows->first] = sizes;
    } else {
      joined[name] = sizes;
    }
  }
  for (auto& [name, by_first_row] : pieces) {
    std::vector<int64_t> whole = by_first_row.begin()->second;
    whole[0] = 0;
    for (auto& [first_row, sizes] : by_first_row) {
      if (first_row != whole[0]) break;
      whole[0] += sizes[0];
    }
    joined[name] = whole;
  }
  return joined;
}

// Tensors a state of `shape` must have.
Shapes TensorsOf(const config::ModelShape& shape) {
  Shapes tensors;
  for (const config::ParameterShape& parameter :
       config::ParameterShapes(shape)) {
    for (const char* kind : {"param/", "adam_m/", "adam_v/"}) {
      tensors[absl::StrCat(kind, parameter.name)] = parameter.sizes;
    }
  }
  tensors["adam_step"] = {1};
  return tensors;
}

void CheckComplete(const lory::v1::JobSpec& spec, const Shapes& found,
                   const std::string& folder, Verdict& verdict) {
  auto shape = config::ResolveModelShape(spec.model(), "spec.model");
  if (!shape.ok()) {
    verdict.Fail(std::string(shape.status().message()));
    return;
  }
  Shapes wanted = TensorsOf(*shape);
  const Shapes dense = TensorsOf(config::DensePhaseShape(*shape));
  // Before its experts are made, a job's state is that of the dense model.
  for (const auto& [name, sizes] : dense) {
    if (!wanted.contains(name) && found.contains(name)) wanted = dense;
  }
  for (const auto& [name, sizes] : wanted) {
    const auto tensor = found.find(name);
    if (tensor == found.end()) {
      verdict.Fail(absl::StrCat(folder, ": no tensor ", name));
    } else if (tensor->second != sizes) {
      verdict.Fail(absl::StrCat(folder, ": ", name, " is [",
                                absl::StrJoin(tensor->second, ", "),
                                "], want [", absl::StrJoin(sizes, ", "), "]"));
    }
  }
}

}  // namespace

void CheckParts(const Checkpoint& checkpoint, const std::string& folder,
                Verdict& verdict) {
  std::set<int> indices;
  for (const CheckpointPart& part : checkpoint.parts()) {
    const std::string path = PathOf(folder, part);
    if (part.count() != checkpoint.parts_size() || part.index() < 0 ||
        part.index() >= part.count() || !indices.insert(part.index()).second) {
      verdict.Fail(absl::StrCat(path, " is part ", part.index(), " of ",
                                part.count(), " among ",
                                checkpoint.parts_size()));
    }
    const auto size = io::LocalStorage().Size(path);
    if (!size.ok()) {
      verdict.Fail(std::string(size.status().message()));
      continue;
    }
    if (*size != part.size_bytes()) {
      verdict.Fail(absl::StrCat(path, " has ", *size, " bytes, want ",
                                part.size_bytes()));
      continue;
    }
    const auto hash = io::FileSha256Hex(path);
    if (!hash.ok()) {
      verdict.Fail(std::string(hash.status().message()));
    } else if (*hash != part.sha256()) {
      verdict.Fail(absl::StrCat(path, " is altered: SHA-256 ", *hash, ", want ",
                                part.sha256()));
    }
  }
  if (checkpoint.parts().empty()) verdict.Fail(folder + " has no parts");
}

void CheckManifest(const Checkpoint& checkpoint, const std::string& folder,
                   Verdict& verdict) {
  const std::string path = absl::StrCat(folder, "/manifest.json");
  const auto text = io::LocalStorage().Read(path);
  if (!text.ok()) {
    verdict.Fail(std::string(text.status().message()));
    return;
  }
  if (Sha256Hex(*text) != checkpoint.manifest_sha256()) {
    verdict.Fail(absl::StrCat(path, " is not the one the journal knows"));
  }
  const auto manifest = data::ParseCheckpointManifest(*text);
  if (!manifest.ok()) {
    verdict.Fail(absl::StrCat(path, ": ", manifest.status().message()));
    return;
  }
  const Checkpoint& written = manifest->checkpoint;
  bool same = written.step() == checkpoint.step() &&
              written.generation() == checkpoint.generation() &&
              written.sample_digest() == checkpoint.sample_digest() &&
              written.parts_size() == checkpoint.parts_size();
  for (int i = 0; same && i < written.parts_size(); ++i) {
    same = written.parts(i).file() == checkpoint.parts(i).file() &&
           written.parts(i).sha256() == checkpoint.parts(i).sha256();
  }
  if (!same) {
    verdict.Fail(absl::StrCat(path, " and the journal disagree about step, ",
                              "generation, digest or parts"));
  }
}

void CheckLoads(const Checkpoint& checkpoint, const lory::v1::JobSpec& spec,
                const std::string& folder, Verdict& verdict) {
  Shapes found;
  for (const CheckpointPart& part : checkpoint.parts()) {
    const std::string path = PathOf(folder, part);
    const auto reader = io::SafetensorsReader::Open(path);
    if (!reader.ok()) {
      verdict.Fail(std::string(reader.status().message()));
      continue;
    }
    CheckMetadata(checkpoint, part, **reader, path, verdict);
    for (const io::TensorInfo& tensor : (*reader)->tensors()) {
      if (!found.emplace(tensor.name, tensor.shape).second) {
        verdict.Fail(
            absl::StrCat(path, ": ", tensor.name, " is in another part too"));
      }
    }
  }
  CheckComplete(spec, JoinRows(found), folder, verdict);
}

}  // namespace lory::verify
