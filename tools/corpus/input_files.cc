#include "tools/corpus/input_files.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"
#include "common/io/storage.h"
#include "tools/corpus/byte_reader.h"
#include "tools/corpus/mds_index.h"
#include "tools/corpus/megatron_tokens.h"

namespace lory::corpus {
namespace {

namespace fs = std::filesystem;

bool IsHidden(const fs::path& path) {
  return absl::StartsWith(path.filename().string(), ".");
}

// With the slash at its end.
std::string FolderOf(absl::string_view path) {
  return std::string(path.substr(0, path.rfind('/') + 1));
}

bool IsSame(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

bool IsJsonLinesName(absl::string_view name) {
  if (IsCompressedName(name)) name = name.substr(0, name.rfind('.'));
  return absl::EndsWith(name, ".jsonl") || absl::EndsWith(name, ".ndjson") ||
         absl::EndsWith(name, ".json");
}

bool IsReadFor(const CorpusInput& input, const fs::path& path) {
  switch (input.format) {
    case InputFormat::kJsonLines:
      return IsJsonLinesName(path.string());
    case InputFormat::kText:
      return true;
    case InputFormat::kMegatron:
      return path.extension() == kMegatronIndexEnd;
    case InputFormat::kMds:
      return false;  // by their folders
  }
  return false;
}

// A .bin is read, but by its index.
bool IsPartOfAnother(const CorpusInput& input, const fs::path& path) {
  std::error_code error;
  return input.format == InputFormat::kMegatron && path.extension() == ".bin" &&
         fs::exists(fs::path(path).replace_extension(kMegatronIndexEnd), error);
}

bool HasMdsIndex(const CorpusInput& input, const fs::path& folder) {
  std::error_code error;
  return input.format == InputFormat::kMds &&
         fs::is_regular_file(folder / kMdsIndexFile, error);
}

std::string WhatIsReadFor(InputFormat format) {
  switch (format) {
    case InputFormat::kJsonLines:
      return "looked for *.jsonl, *.ndjson, *.json, also as .gz, .zst or "
             ".zstd; for files that are a document each say format: text";
    case InputFormat::kText:
      return "every file that is not hidden would be a document";
    case InputFormat::kMegatron:
      return "looked for *.idx, each with its .bin";
    case InputFormat::kMds:
      return "looked for folders with an index.json";
  }
  return "";
}

// Leaves out each index that another further out was merged from: one in whose
// folder the other has shards.
absl::Status LeaveOutMerged(std::vector<InputFile>* indexes) {
  absl::flat_hash_set<std::string> merged;
  for (const InputFile& outer : *indexes) {
    std::vector<MdsShard> shards;
    for (const InputFile& inner : *indexes) {
      const std::string folder = FolderOf(inner.path);
      if (outer.path == inner.path ||
          !absl::StartsWith(folder, FolderOf(outer.path))) {
        continue;
      }
      if (shards.empty()) {
        LORY_ASSIGN_OR_RETURN(shards, ReadMdsIndex(outer.path));
      }
      if (std::any_of(shards.begin(), shards.end(), [&](const MdsShard& shard) {
            return absl::StartsWith(shard.path, folder);
          })) {
        merged.insert(inner.path);
      }
    }
  }
  std::erase_if(*indexes, [&](const InputFile& index) {
    return merged.contains(index.path);
  });
  return absl::OkStatus();
}

// Whether a file of this name would be read, were it one.
bool WouldBeRead(const CorpusInput& input, const fs::path& path) {
  return !IsHidden(path) &&
         (IsReadFor(input, path) || (input.format == InputFormat::kMds &&
                                     path.filename() == kMdsIndexFile));
}

// Looks at all that lies beneath an input's folder.
class FolderWalk {
 public:
  explicit FolderWalk(const CorpusInput& input) : input_(input) {}

  absl::Status Run() {
    if (HasMdsIndex(input_, input_.path)) {
      Add(fs::path(input_.path) / kMdsIndexFile);
      index_depth_ = 0;
    }
    LORY_RETURN_IF_ERROR(CheckFolder(input_.path));
    std::error_code error;
    for (auto at = fs::recursive_directory_iterator(input_.path, error);
         !error && at != fs::recursive_directory_iterator();
         at.increment(error)) {
      if (at.depth() < index_depth_) index_depth_ = kNotBeneathOne;
      std::error_code no_matter;  // what cannot be looked at is no folder
      if (at->is_directory(no_matter)) {
        LORY_RETURN_IF_ERROR(TakeFolder(at));
      } else {
        LORY_RETURN_IF_ERROR(TakeFile(*at));
      }
    }
    if (!error) return absl::OkStatus();
    return io::ErrnoStatus(error.value(),
                           absl::StrCat("reading ", input_.path));
  }

  InputFiles found;

 private:
  static constexpr int kNotBeneathOne = std::numeric_limits<int>::max();

  std::string NameBeneath(const fs::path& path) const {
    return path.lexically_relative(input_.path).string();
  }
  void Add(const fs::path& path) {
    found.files.push_back({path.string(), NameBeneath(path)});
  }
  void Skip(const fs::path& path, SkipReason reason) {
    found.skipped.push_back({NameBeneath(path), reason});
  }

  // The iterator would name the folder that it began with.
  static absl::Status CheckFolder(const fs::path& path) {
    std::error_code error;
    fs::directory_iterator(path, error);
    if (!error) return absl::OkStatus();
    return io::ErrnoStatus(error.value(),
                           absl::StrCat("reading ", path.string()));
  }

  absl::Status TakeFolder(fs::recursive_directory_iterator& at) {
    const fs::path& path = at->path();
    std::error_code error;
    // The iterator does not follow links.
    const bool is_link = at->is_symlink(error);
    const bool is_left_out = IsSame(path, input_.left_out);
    if (IsHidden(path) || is_link || is_left_out) {
      at.disable_recursion_pending();
      Skip(path, IsHidden(path) ? SkipReason::kHidden
                 : is_link      ? SkipReason::kLinkToFolder
                                : SkipReason::kOfTheBuild);
      return absl::OkStatus();
    }
    if (HasMdsIndex(input_, path)) {
      Add(path / kMdsIndexFile);
      index_depth_ = std::min(index_depth_, at.depth() + 1);
    }
    return CheckFolder(path);
  }

  absl::Status TakeFile(const fs::directory_entry& entry) {
    const fs::path& path = entry.path();
    std::error_code error;
    const bool is_file = entry.is_regular_file(error);
    if (!IsHidden(path) && is_file && IsReadFor(input_, path)) {
      Add(path);
      return absl::OkStatus();
    }
    if (entry.is_symlink(error) && !entry.exists(error) &&
        WouldBeRead(input_, path)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path.string(), " is a link to ",
                       fs::read_symlink(path, error).string(),
                       ", which leads to no file: mend it or remove it"));
    }
    if (index_depth_ != kNotBeneathOne || IsPartOfAnother(input_, path)) {
      return absl::OkStatus();
    }
    Skip(path, IsHidden(path) ? SkipReason::kHidden
               : is_file      ? SkipReason::kOtherName
                              : SkipReason::kNoPlainFile);
    return absl::OkStatus();
  }

  const CorpusInput& input_;
  int index_depth_ = kNotBeneathOne;  // of what is beneath an index
};

absl::StatusOr<InputFiles> FilesBeneath(const CorpusInput& input) {
  FolderWalk walk(input);
  LORY_RETURN_IF_ERROR(walk.Run());
  InputFiles& found = walk.found;
  if (found.files.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(input.path, " has no file to read (", found.skipped.size(),
                     " skipped): ", WhatIsReadFor(input.format)));
  }
  if (input.format == InputFormat::kMds) {
    LORY_RETURN_IF_ERROR(LeaveOutMerged(&found.files));
  }
  std::sort(
      found.files.begin(), found.files.end(),
      [](const InputFile& a, const InputFile& b) { return a.name < b.name; });
  std::sort(found.skipped.begin(), found.skipped.end(),
            [](const SkippedFile& a, const SkippedFile& b) {
              return std::tie(a.reason, a.name) < std::tie(b.reason, b.name);
            });
  return std::move(found);
}

}  // namespace

absl::string_view NameOf(SkipReason reason) {
  switch (reason) {
    case SkipReason::kNoPlainFile:
      return "no plain file";
    case SkipReason::kLinkToFolder:
      return "a link to a folder";
    case SkipReason::kOtherName:
      return "no name of its format";
    case SkipReason::kOfTheBuild:
      return "where the build writes";
    case SkipReason::kHidden:
      return "hidden";
  }
  return "";
}

absl::StatusOr<InputFiles> FilesOf(const CorpusInput& input) {
  std::error_code error;
  if (fs::is_directory(input.path, error)) return FilesBeneath(input);
  LORY_RETURN_IF_ERROR(io::LocalStorage().Size(input.path).status());
  InputFiles one;
  one.files.push_back({input.path, fs::path(input.path).filename().string()});
  return one;
}

absl::StatusOr<std::vector<InputFile>> PartsOf(const CorpusInput& input,
                                               const InputFile& file) {
  std::vector<InputFile> parts = {file};
  if (input.format == InputFormat::kMegatron) {
    parts.push_back({MegatronBinOf(file.path), MegatronBinOf(file.name)});
  } else if (input.format == InputFormat::kMds) {
    LORY_ASSIGN_OR_RETURN(const std::vector<MdsShard> shards,
                          ReadMdsIndex(file.path));
    for (const MdsShard& shard : shards) {
      parts.push_back({shard.path, shard.name});
    }
  }
  return parts;
}

absl::StatusOr<std::string> HashOf(const CorpusInput& input) {
  LORY_ASSIGN_OR_RETURN(const InputFiles found, FilesOf(input));
  std::error_code error;
  if (!fs::is_directory(input.path, error) &&
      input.format == InputFormat::kJsonLines) {
    return io::FileSha256Hex(input.path);
  }
  std::string all;
  for (const InputFile& file : found.files) {
    LORY_ASSIGN_OR_RETURN(const auto parts, PartsOf(input, file));
    for (const InputFile& part : parts) {
      LORY_ASSIGN_OR_RETURN(const std::string hash,
                            io::FileSha256Hex(part.path));
      absl::StrAppend(&all, hash, " ", part.name, "\n");
    }
  }
  return Sha256Hex(all);
}

}  // namespace lory::corpus
