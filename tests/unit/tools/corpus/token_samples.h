#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_TOKEN_SAMPLES_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_TOKEN_SAMPLES_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "tests/support/temporary_folder.h"

// Token files as Megatron-LM's and MosaicML's writers make them, by hand from
// the layouts in docs/formats.md. tests/interop has the writers themselves.
namespace lory::corpus {

template <typename T>
std::string Packed(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
}

// The .idx of sequences of `lengths` tokens of `bytes_each`, of which each mark
// begins a document.
inline std::string MegatronIndex(uint8_t code, int64_t bytes_each,
                                 const std::vector<int32_t>& lengths,
                                 const std::vector<int64_t>& marks) {
  std::vector<int64_t> pointers;
  int64_t end = 0;
  for (const int32_t length : lengths) {
    pointers.push_back(end);
    end += length * bytes_each;
  }
  return absl::StrCat(std::string("MMIDIDX\0\0", 9), Packed<uint64_t>({1}),
                      std::string(1, static_cast<char>(code)),
                      Packed<uint64_t>({lengths.size(), marks.size()}),
                      Packed(lengths), Packed(pointers), Packed(marks));
}

// A dataset of a document a sequence, of int32; returns the path of its .idx.
inline std::string WriteMegatron(
    const testing::TemporaryFolder& folder, const std::string& name,
    const std::vector<std::vector<int32_t>>& documents) {
  std::vector<int32_t> lengths;
  std::vector<int64_t> marks = {0};
  std::string bin;
  for (const std::vector<int32_t>& document : documents) {
    lengths.push_back(static_cast<int32_t>(document.size()));
    marks.push_back(static_cast<int64_t>(lengths.size()));
    bin += Packed(document);
  }
  folder.Write(name + ".bin", bin);
  return folder.Write(name + ".idx", MegatronIndex(4, 4, lengths, marks));
}

// A value of an encoding that says its type and shape itself.
inline std::string DynamicArray(const std::vector<int32_t>& tokens) {
  return absl::StrCat(std::string("\x21\x06", 2),
                      Packed<uint32_t>({static_cast<uint32_t>(tokens.size())}),
                      Packed(tokens));
}

// A sample whose values all say their size.
inline std::string MdsSample(const std::vector<std::string>& values) {
  std::string sample;
  for (const std::string& value : values) {
    sample += Packed<uint32_t>({static_cast<uint32_t>(value.size())});
  }
  return sample + absl::StrJoin(values, "");
}

inline std::string MdsShardBytes(const std::vector<std::string>& samples) {
  const std::string config = R"({"compression": null})";
  std::vector<uint32_t> numbers = {static_cast<uint32_t>(samples.size())};
  uint32_t end =
      static_cast<uint32_t>(4 * (samples.size() + 2) + config.size());
  numbers.push_back(end);
  for (const std::string& sample : samples) {
    numbers.push_back(end += static_cast<uint32_t>(sample.size()));
  }
  return absl::StrCat(Packed(numbers), config, absl::StrJoin(samples, ""));
}

// One shard of an index; `columns` as "\"tokens\"", sizes all open.
inline std::string MdsEntry(int number, size_t samples, size_t raw_bytes,
                            const std::vector<std::string>& names,
                            const std::vector<std::string>& encodings,
                            const std::string& zip = "null") {
  const auto quoted = [](const std::vector<std::string>& words) {
    return absl::StrCat("[\"", absl::StrJoin(words, "\", \""), "\"]");
  };
  const std::vector<std::string> open(names.size(), "null");
  return absl::StrCat(
      R"({"column_encodings": )", quoted(encodings), R"(, "column_names": )",
      quoted(names), R"(, "column_sizes": [)", absl::StrJoin(open, ", "),
      R"(], "compression": null, "format": "mds", "hashes": [], "raw_data": )",
      R"({"basename": "shard.0000)", number, R"(.mds", "bytes": )", raw_bytes,
      R"(, "hashes": {}}, "samples": )", samples,
      R"(, "size_limit": 67108864, "version": 2, "zip_data": )", zip, "}");
}

inline std::string MdsIndex(const std::vector<std::string>& entries) {
  return absl::StrCat(R"({"shards": [)", absl::StrJoin(entries, ", "),
                      R"(], "version": 2})");
}

// A dataset of one plain shard; returns the path of its index.
inline std::string WriteMds(const testing::TemporaryFolder& folder,
                            const std::string& name,
                            const std::vector<std::string>& names,
                            const std::vector<std::string>& encodings,
                            const std::vector<std::string>& samples) {
  const std::string shard = MdsShardBytes(samples);
  folder.Write(name + "/shard.00000.mds", shard);
  return folder.Write(
      name + "/index.json",
      MdsIndex({MdsEntry(0, samples.size(), shard.size(), names, encodings)}));
}

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_TOKEN_SAMPLES_H_
