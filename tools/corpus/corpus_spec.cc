#include "tools/corpus/corpus_spec.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/config/yaml_tree.h"
#include "common/io/absolute_path.h"
#include "common/io/storage.h"
#include "tools/corpus/spec_reader.h"

namespace lory::corpus {
namespace {

using config::YamlNode;

constexpr char kJsonLines[] = "jsonl";
constexpr char kText[] = "text";
constexpr char kMegatron[] = "megatron";
constexpr char kMds[] = "mds";
constexpr char kSymmetric[] = "symmetric";
constexpr char kDirected[] = "directed";
constexpr char kHashedTfIdf[] = "hashed-tf-idf";
constexpr char kBert[] = "bert";
constexpr DocumentOrder kOrders[] = {DocumentOrder::kSimilarity,
                                     DocumentOrder::kReleasedCode,
                                     DocumentOrder::kRandom};

InputFormat FormatNamed(absl::string_view name) {
  if (name == kText) return InputFormat::kText;
  if (name == kMegatron) return InputFormat::kMegatron;
  if (name == kMds) return InputFormat::kMds;
  return InputFormat::kJsonLines;
}

// Keys that say where something stands in a file of another format.
void CheckInputKeys(SpecReader& reader, const YamlNode& node,
                    const std::string& path, CorpusInput* input) {
  const bool is_mds = input->format == InputFormat::kMds;
  bool text = false;
  for (const config::YamlEntry& entry : node.entries) {
    const std::string here = absl::StrCat(path, ".", entry.key);
    const bool of_mds = entry.key == "tokens_key" || entry.key == "tokens_type";
    if (of_mds && !is_mds) {
      reader.Fail(entry.line, here, "is for format: mds alone");
    } else if (absl::EndsWith(entry.key, "_key") &&
               (input->format == InputFormat::kText ||
                input->format == InputFormat::kMegatron)) {
      reader.Fail(
          entry.line, here,
          absl::StrCat(input->format == InputFormat::kText ? kText : kMegatron,
                       " files have no keys"));
    }
    text = text || entry.key == "text_key";
  }
  if (!is_mds || !text) return;
  for (const config::YamlEntry& entry : node.entries) {
    if (entry.key != "tokens_key" && entry.key != "tokens_type") continue;
    reader.Fail(entry.line, absl::StrCat(path, ".", entry.key),
                "a document is either tokens or text (text_key)");
  }
  input->keys.tokens.clear();
}

void ReadInputs(SpecReader& reader, const YamlNode& node,
                const std::string& path, const std::string& folder,
                std::vector<CorpusInput>* inputs) {
  if (node.kind != YamlNode::Kind::kList || node.items.empty()) {
    return reader.Fail(node.line, path, "must be a list of at least one file");
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    CorpusInput& input = inputs->emplace_back();
    const std::string here = absl::StrCat(path, "[", i, "]");
    std::string format = kJsonLines;
    std::string type;
    reader.Map(node.items[i], here,
               {{"path", reader.Path(&input.path, folder), true},
                {"domain", reader.Name(&input.domain)},
                {"format",
                 reader.OneOf(&format, {kJsonLines, kText, kMegatron, kMds})},
                {"text_key", reader.Text(&input.keys.text)},
                {"id_key", reader.Text(&input.keys.id)},
                {"domain_key", reader.Text(&input.keys.domain)},
                {"tokens_key", reader.Text(&input.keys.tokens)},
                {"tokens_type", reader.OneOf(&type, TokenTypeNames())}});
    input.format = FormatNamed(format);
    input.token_type = TokenTypeNamed(type);
    input.token_type_place = reader.PlaceOf(here + ".tokens_type");
    CheckInputKeys(reader, node.items[i], here, &input);
  }
}

// Tokens are made into text for what looks at words, and so by the tokenizer
// that made them.
void CheckTokenInputs(SpecReader& reader, const YamlNode& root,
                      const CorpusSpec& spec) {
  if (!spec.tokenizer_file.empty()) return;
  for (const config::YamlEntry& entry : root.entries) {
    if (entry.key != "inputs" || entry.value.kind != YamlNode::Kind::kList) {
      continue;
    }
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      if (!HoldsTokens(spec.inputs[i])) continue;
      reader.Fail(entry.value.items[i].line, absl::StrCat("inputs[", i, "]"),
                  "holds tokens: tokenizer.file must be the tokenizer that "
                  "made them");
    }
  }
}

void ReadTokenizer(SpecReader& reader, const YamlNode& node,
                   const std::string& path, const std::string& folder,
                   CorpusSpec* spec) {
  reader.Map(
      node, path,
      {{"file", reader.Path(&spec->tokenizer_file, folder)},
       {"kind",
        reader.OneOf(&spec->tokenizer_kind, {kByteBpe, kSentencePieceBpe})},
       {"vocabulary_size", reader.Whole(&spec->vocabulary_size, 257, 1 << 20)},
       {"training_mb", reader.Whole(&spec->tokenizer_megabytes, 1, 1 << 20)}});
  if (!spec->tokenizer_file.empty() && node.entries.size() > 1) {
    reader.Fail(node.line, path,
                "a tokenizer that is loaded (file) cannot be trained too");
  }
}

void ReadNeighbors(SpecReader& reader, const YamlNode& node,
                   const std::string& path, CorpusSpec* spec) {
  NeighborOptions& options = spec->neighbors;
  std::string method(NameOf(options.method)), metric(NameOf(options.metric));
  std::string graph(spec->graph == Graph::kDirected ? kDirected : kSymmetric);
  reader.Map(
      node, path,
      {{"k", reader.Whole(&options.k, 1, 1000)},
       {"method", reader.OneOf(&method, SearchMethodNames())},
       {"metric", reader.OneOf(&metric, MetricNames())},
       {"graph", reader.OneOf(&graph, {kSymmetric, kDirected})},
       {"lists", reader.Whole(&options.lists, 0, 1 << 24)},
       {"probes", reader.Whole(&options.probes, 0, 4096)},
       {"recall", reader.Share(&options.recall, 0, 1)},
       {"recall_sample", reader.Whole(&options.recall_sample, 1, 100'000)},
       {"memory_mb", reader.Whole(&options.memory_mb, 1, 1 << 20)},
       {"near_duplicate", reader.Share(&spec->near_duplicate, 0.5, 1)},
       {"shingle_overlap", reader.Share(&spec->shingle_overlap, 0, 1)}});
  options.method = SearchMethodNamed(method);
  options.metric = MetricNamed(metric);
  spec->graph = graph == kDirected ? Graph::kDirected : Graph::kSymmetric;
  for (const config::YamlEntry& entry : node.entries) {
    const bool of_lists = entry.key == "lists" || entry.key == "probes" ||
                          entry.key.starts_with("recall");
    if (!of_lists || options.method != SearchMethod::kExact) continue;
    reader.Fail(entry.line, absl::StrCat(path, ".", entry.key),
                "has no meaning for method: exact");
  }
}

void ReadEmbed(SpecReader& reader, const YamlNode& node,
               const std::string& path, const std::string& folder,
               CorpusSpec* spec) {
  constexpr Pooling kPoolings[] = {Pooling::kMean, Pooling::kMeanWithoutCls,
                                   Pooling::kCls};
  std::vector<std::string> names;
  for (const Pooling known : kPoolings) names.emplace_back(NameOf(known));
  std::string kind = kHashedTfIdf;
  std::string pooling;
  int32_t max_tokens = 0;
  EncoderSpec& encoder = spec->encoder;
  reader.Map(node, path,
             {{"kind", reader.OneOf(&kind, {kHashedTfIdf, kBert})},
              {"dimensions", reader.Whole(&spec->embed_dimensions, 16, 16384)},
              {"model", reader.Path(&encoder.model, folder)},
              {"pooling", reader.OneOf(&pooling, names)},
              {"max_tokens", reader.Whole(&max_tokens, 3, 1 << 17)},
              {"normalize", reader.Flag(&encoder.normalize)}});
  for (const Pooling known : kPoolings) {
    if (pooling == NameOf(known)) encoder.pooling = known;
  }
  if (max_tokens > 0) encoder.max_tokens = max_tokens;
  for (const config::YamlEntry& entry : node.entries) {
    const std::string here = absl::StrCat(path, ".", entry.key);
    if (kind == kBert && entry.key == "dimensions") {
      reader.Fail(entry.line, here, "are the model's");
    } else if (kind != kBert && entry.key != "dimensions" &&
               entry.key != "kind") {
      reader.Fail(entry.line, here, "is for kind: bert alone");
    }
  }
  if (kind == kBert && encoder.model.empty()) {
    reader.Fail(node.line, absl::StrCat(path, ".model"),
                "is missing: the folder of a BERT encoder");
  }
}

void ReadMixture(SpecReader& reader, const YamlNode& node,
                 const std::string& path,
                 std::map<std::string, double>* mixture) {
  if (node.kind != YamlNode::Kind::kMap) {
    return reader.Fail(node.line, path, "must be a map of domains to weights");
  }
  bool all_are_0 = !node.entries.empty();
  for (const config::YamlEntry& entry : node.entries) {
    double& weight = (*mixture)[entry.key];
    weight = -1;  // stays where none can be read
    reader.Share(&weight, 0, 1e9)(entry.value,
                                  absl::StrCat(path, ".", entry.key));
    all_are_0 &= weight == 0;
  }
  if (all_are_0) {
    reader.Fail(node.line, path, "all weights are 0");
  }
}

// Megatron-LM names a dataset by what its two files have in common, and people
// name either of them. What is read is the index.
void TakeMegatronIndex(CorpusInput* input) {
  constexpr absl::string_view kBin = ".bin", kIdx = ".idx";
  std::error_code error;
  std::string index = input->path;
  if (absl::EndsWith(index, kBin)) {
    index.resize(index.size() - kBin.size());
  } else if (std::filesystem::exists(index, error)) {
    return;
  }
  absl::StrAppend(&index, kIdx);
  if (std::filesystem::exists(index, error)) input->path = index;
}

// Of what the spec names: all that is not there at once, a line each.
absl::Status CheckNamedFiles(const CorpusSpec& spec) {
  std::vector<std::string> missing;
  const auto check = [&](const std::string& path, const std::string& key,
                         absl::string_view what) {
    std::error_code error;
    if (path.empty() || std::filesystem::exists(path, error)) return;
    missing.push_back(
        absl::StrCat(spec.PlaceOf(key), ": there is no ", what, " ", path));
  };
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const CorpusInput& input = spec.inputs[i];
    const bool is_megatron = input.format == InputFormat::kMegatron;
    const std::string key = absl::StrCat("inputs[", i, "].path");
    std::error_code error;
    if (is_megatron && absl::EndsWith(input.path, ".bin") &&
        !std::filesystem::is_directory(input.path, error)) {
      missing.push_back(absl::StrCat(spec.PlaceOf(key),
                                     ": there is no .idx beside ", input.path));
      continue;
    }
    check(input.path, key,
          is_megatron ? "file or folder of this name, nor with .idx or .bin:"
                      : "file or folder");
  }
  check(spec.tokenizer_file, "tokenizer.file", "file");
  check(spec.encoder.model, "embed.model", "folder");
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(missing, "\n"));
}

}  // namespace

absl::string_view NameOf(DocumentOrder order) {
  switch (order) {
    case DocumentOrder::kSimilarity:
      return "similarity";
    case DocumentOrder::kReleasedCode:
      return "released-code";
    case DocumentOrder::kRandom:
      return "random";
  }
  return "";
}

std::vector<std::string> OrderNames() {
  std::vector<std::string> names;
  for (const DocumentOrder order : kOrders) {
    names.push_back(std::string(NameOf(order)));
  }
  return names;
}

std::optional<DocumentOrder> OrderNamed(absl::string_view name) {
  for (const DocumentOrder order : kOrders) {
    if (name == NameOf(order)) return order;
  }
  return std::nullopt;
}

bool HoldsTokens(const CorpusInput& input) {
  return input.format == InputFormat::kMegatron ||
         (input.format == InputFormat::kMds && !input.keys.tokens.empty());
}

bool CorpusSpec::HasTokenInput() const {
  return std::any_of(inputs.begin(), inputs.end(), HoldsTokens);
}

bool IsDomainName(absl::string_view name) {
  const auto is_allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= 64 &&
         absl::ascii_isalnum(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

absl::StatusOr<CorpusSpec> ParseCorpusSpec(absl::string_view text,
                                           absl::string_view file_name,
                                           const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(const YamlNode root,
                        config::ParseYaml(text, file_name));
  CorpusSpec spec;
  SpecReader reader(file_name);
  const auto section = [&reader](std::vector<SpecReader::Key> keys) {
    return [&reader, keys](const YamlNode& node, const std::string& path) {
      reader.Map(node, path, keys);
    };
  };
  reader.Map(
      root, "",
      {{"name", reader.Name(&spec.name), true},
       {"output", reader.Path(&spec.output, folder), true},
       {"seed", reader.Whole(&spec.seed, 0, INT64_MAX)},
       {"inputs",
        [&](const YamlNode& node, const std::string& path) {
          ReadInputs(reader, node, path, folder, &spec.inputs);
        },
        true},
       {"max_errors", reader.Whole(&spec.max_errors, 0, INT64_MAX)},
       {"held_out",
        section({{"fraction", reader.Share(&spec.held_out_fraction, 0, 0.5)}})},
       {"holdout_domains", reader.Names(&spec.holdout_domains)},
       {"tokenizer",
        [&](const YamlNode& node, const std::string& path) {
          ReadTokenizer(reader, node, path, folder, &spec);
        }},
       {"embed",
        [&](const YamlNode& node, const std::string& path) {
          ReadEmbed(reader, node, path, folder, &spec);
        }},
       {"neighbors",
        [&](const YamlNode& node, const std::string& path) {
          ReadNeighbors(reader, node, path, &spec);
        }},
       {"mixture",
        [&](const YamlNode& node, const std::string& path) {
          ReadMixture(reader, node, path, &spec.mixture);
        }},
       {"order",
        [&](const YamlNode& node, const std::string& path) {
          std::string name(NameOf(spec.order));
          reader.OneOf(&name, OrderNames())(node, path);
          spec.order = *OrderNamed(name);
        }},
       {"sequence_length", reader.Whole(&spec.sequence_length, 8, 1 << 20)},
       {"shard_mb", reader.Whole(&spec.shard_megabytes, 1, 1 << 16)}});
  CheckTokenInputs(reader, root, spec);
  LORY_RETURN_IF_ERROR(reader.status());
  spec.places = reader.places();
  return spec;
}

std::string CorpusSpec::PlaceOf(const std::string& key) const {
  return WithPlace(places, key);
}

absl::Status CorpusSpec::At(const std::string& key,
                            const absl::Status& status) const {
  const auto place = places.find(key);
  const bool is_of_spec =
      absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status);
  if (!is_of_spec || place == places.end()) return status;
  return Annotate(status, place->second);
}

absl::StatusOr<CorpusSpec> ReadCorpusSpec(const std::string& path) {
  const absl::StatusOr<std::string> text = io::LocalStorage().Read(path);
  if (absl::IsNotFound(text.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": there is no such spec"));
  }
  LORY_RETURN_IF_ERROR(text.status());
  LORY_ASSIGN_OR_RETURN(const std::string absolute, io::AbsolutePath(path));
  LORY_ASSIGN_OR_RETURN(
      CorpusSpec spec,
      ParseCorpusSpec(*text, path,
                      std::filesystem::path(absolute).parent_path().string()));
  for (CorpusInput& input : spec.inputs) {
    if (input.format == InputFormat::kMegatron) TakeMegatronIndex(&input);
  }
  LORY_RETURN_IF_ERROR(CheckNamedFiles(spec));
  return spec;
}

}  // namespace lory::corpus
