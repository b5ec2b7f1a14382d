#include "tools/corpus/corpus_spec.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

const auto kInvalid = absl::StatusCode::kInvalidArgument;

constexpr char kMinimal[] =
    "name: demo\n"
    "output: out\n"
    "inputs:\n"
    "  - path: a.jsonl\n";

absl::StatusOr<CorpusSpec> Parse(const std::string& more) {
  return ParseCorpusSpec(absl::StrCat(kMinimal, more), "corpus.yaml", "/data");
}

void ExpectError(const std::string& more, const std::string& message) {
  EXPECT_THAT(Parse(more), StatusIs(kInvalid, HasSubstr(message))) << more;
}

TEST(CorpusSpec, TheShortestSpecHasDefaultsForTheRest) {
  LORY_ASSERT_OK_AND_ASSIGN(const CorpusSpec spec, Parse(""));
  EXPECT_EQ(spec.name, "demo");
  EXPECT_EQ(spec.output, "/data/out");
  EXPECT_EQ(spec.inputs[0].path, "/data/a.jsonl");
  EXPECT_EQ(spec.order, DocumentOrder::kSimilarity);
  EXPECT_EQ(spec.sequence_length, 1024);
}

TEST(CorpusSpec, EveryKeyIsRead) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const CorpusSpec spec,
      Parse("  - {path: /b.jsonl.gz, domain: news}\n"
            "seed: 7\nmax_errors: 0\norder: random\n"
            "mixture: {news: 2, text: 0.5}\n"
            "held_out: {fraction: 0.25}\n"
            "tokenizer: {vocabulary_size: 300, training_mb: 2, "
            "kind: sentencepiece-bpe}\n"
            "embed: {dimensions: 64}\n"
            "holdout_domains: [a, b.c]\n"
            "neighbors: {k: 3, near_duplicate: 1, shingle_overlap: 0,\n"
            "  method: ivf, metric: inner_product, lists: 9, probes: 4,\n"
            "  recall: 0.9, recall_sample: 77, memory_mb: 5,\n"
            "  graph: directed}\n"
            "sequence_length: 16\nshard_mb: 1\n"));
  EXPECT_EQ(spec.inputs[1].path, "/b.jsonl.gz");
  EXPECT_EQ(spec.inputs[1].domain, "news");
  EXPECT_EQ(spec.seed, 7u);
  EXPECT_EQ(spec.max_errors, 0);
  EXPECT_EQ(spec.order, DocumentOrder::kRandom);
  EXPECT_EQ(spec.held_out_fraction, 0.25);
  EXPECT_EQ(spec.vocabulary_size, 300);
  EXPECT_EQ(spec.tokenizer_kind, kSentencePieceBpe);
  EXPECT_EQ(spec.tokenizer_megabytes, 2);
  EXPECT_EQ(spec.embed_dimensions, 64);
  EXPECT_EQ(spec.neighbors.k, 3);
  EXPECT_EQ(spec.neighbors.method, SearchMethod::kLists);
  EXPECT_EQ(spec.neighbors.metric, Metric::kInnerProduct);
  EXPECT_EQ(spec.neighbors.lists, 9);
  EXPECT_EQ(spec.neighbors.probes, 4);
  EXPECT_EQ(spec.neighbors.recall, 0.9);
  EXPECT_EQ(spec.neighbors.recall_sample, 77);
  EXPECT_EQ(spec.neighbors.memory_mb, 5);
  EXPECT_EQ(spec.graph, Graph::kDirected);
  EXPECT_EQ(spec.near_duplicate, 1);
  EXPECT_EQ(spec.shingle_overlap, 0);
  EXPECT_EQ(spec.mixture,
            (std::map<std::string, double>{{"news", 2}, {"text", 0.5}}));
  EXPECT_EQ(spec.holdout_domains, (std::vector<std::string>{"a", "b.c"}));
  EXPECT_EQ(spec.sequence_length, 16);
  EXPECT_EQ(spec.shard_megabytes, 1);
}

TEST(CorpusSpec, AnEncoderIsReadWithItsChoices) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const CorpusSpec spec,
      Parse("embed: {kind: bert, model: minilm, pooling: mean_without_cls,\n"
            "        max_tokens: 128, normalize: false}\n"));
  EXPECT_THAT(spec.encoder.model, EndsWith("/minilm"));
  EXPECT_EQ(spec.encoder.pooling, Pooling::kMeanWithoutCls);
  EXPECT_EQ(spec.encoder.max_tokens, 128);
  EXPECT_FALSE(spec.encoder.normalize);
  LORY_ASSERT_OK_AND_ASSIGN(const CorpusSpec plain,
                            Parse("embed: {kind: hashed-tf-idf}\n"));
  EXPECT_EQ(plain.encoder.model, "");
}

TEST(CorpusSpec, KeysOfAnotherKindOfVectorsAreNamed) {
  ExpectError("embed: {model: minilm}\n",
              "corpus.yaml:5: embed.model: is for kind: bert alone");
  ExpectError("embed:\n  kind: bert\n  model: x\n  dimensions: 64\n",
              "corpus.yaml:8: embed.dimensions: are the model's");
  ExpectError("embed: {kind: bert}\n",
              "corpus.yaml:5: embed.model: is missing: the folder of a BERT");
  ExpectError("embed: {kind: bert, model: x, pooling: max}\n",
              "must be mean or mean_without_cls or cls, not 'max'");
  ExpectError("embed: {kind: bert, model: x, max_tokens: 2}\n",
              "embed.max_tokens: is 2; must be from 3");
  ExpectError("embed: {kind: bert, model: x, normalize: 'true'}\n",
              "embed.normalize: must be true or false, not 'true'");
  ExpectError("embed: {kind: word2vec}\n",
              "must be hashed-tf-idf or bert, not 'word2vec'");
}

TEST(CorpusSpec, AnUnknownKeyIsNamedWithItsLineAndAGuess) {
  ExpectError("neighbours: {k: 3}\n",
              "corpus.yaml:5: neighbours: unknown key; did you mean "
              "neighbors?");
  ExpectError("\nembed: {dimension: 3}\n",
              "corpus.yaml:6: embed.dimension: unknown key; did you mean "
              "dimensions?");
  ExpectError("colour: red\n", "unknown key; known are name, output, ");
  ExpectError("  - {path: x, domian: y}\n",
              "corpus.yaml:5: inputs[1].domian: unknown key; did you mean "
              "domain?");
}

TEST(CorpusSpec, ValuesOutOfRangeAreNamedWithTheRange) {
  ExpectError("sequence_length: 4\n",
              "corpus.yaml:5: sequence_length: is 4; must be from 8 to ");
  ExpectError("held_out: {fraction: 0.9}\n", "is 0.9; must be from 0 to 0.5");
  ExpectError("held_out: {fraction: .nan}\n", "held_out.fraction");
  ExpectError("neighbors: {near_duplicate: 1.5}\n", "must be from 0.5 to 1");
  ExpectError("neighbors: {probes: -1}\n", "neighbors.probes: is -1; must be");
  ExpectError("neighbors: {memory_mb: 0}\n", "neighbors.memory_mb: is 0");
  ExpectError("neighbors: {method: exact, probes: 4}\n",
              "neighbors.probes: has no meaning for method: exact");
  ExpectError("seed: -1\n", "seed: is -1");
}

TEST(CorpusSpec, AWeightThatIsNoneIsNot0) {
  for (const char* weight : {"-1", "nan", ".inf", "much"}) {
    const auto spec =
        ParseCorpusSpec(absl::StrCat("name: a\noutput: o\ninputs: [{path: i}]\n"
                                     "mixture: {a: ",
                                     weight, "}\n"),
                        "f", "/");
    EXPECT_THAT(spec.status().message(), HasSubstr("mixture.a: "));
    EXPECT_THAT(spec.status().message(), Not(HasSubstr("all weights are 0")));
  }
}

TEST(CorpusSpec, MistakesThatDocumentsShowHaveTheirLine) {
  CorpusSpec spec;
  spec.places = {{"mixture", "c.yaml:9"}};
  const absl::Status wrong = absl::InvalidArgumentError("mixture: no domain x");
  EXPECT_EQ(spec.At("mixture", wrong).message(),
            "c.yaml:9: mixture: no domain x");
  EXPECT_EQ(spec.At("order", wrong), wrong);
  const absl::Status other = absl::ResourceExhaustedError("full");
  EXPECT_EQ(spec.At("mixture", other), other);
}

TEST(CorpusSpec, ValuesOfTheWrongKindAreNamed) {
  ExpectError("seed: many\n", "seed: must be a whole number, not 'many'");
  ExpectError("seed: 1.5\n", "must be a whole number");
  ExpectError("seed: '7'\n", "must be a whole number");
  ExpectError("embed: 7\n", "embed: must be a map");
  ExpectError("mixture: {a: 0}\n", "mixture: all weights are 0");
  ExpectError("mixture: {a: -1}\n", "mixture.a: is -1");
  ExpectError("mixture: [a]\n", "must be a map of domains to weights");
  ExpectError("holdout_domains: news\n", "must be a list of names");
  ExpectError("holdout_domains: [a/b]\n", "holdout_domains: may have");
  ExpectError("neighbors: {method: flat}\n", "must be auto or exact or ivf");
  ExpectError("neighbors: {metric: dot}\n", "cosine or inner_product");
  ExpectError("neighbors: {graph: both}\n", "must be symmetric or directed");
  ExpectError("order: similar\n",
              "must be similarity or released-code or random");
  ExpectError("  - a.jsonl\n", "inputs[1]: must be a map");
  ExpectError("  - {path: x, domain: ../y}\n", "inputs[1].domain: may have");
}

TEST(CorpusSpec, WhatIsRequiredIsMissedByName) {
  EXPECT_THAT(
      ParseCorpusSpec("seed: 1\n", "c.yaml", "/"),
      StatusIs(kInvalid, ::testing::AllOf(HasSubstr("name: is missing"),
                                          HasSubstr("output: is missing"),
                                          HasSubstr("inputs: is missing"))));
  EXPECT_THAT(ParseCorpusSpec("name: a\noutput: b\ninputs: []\n", "c", "/"),
              StatusIs(kInvalid, HasSubstr("at least one file")));
}

TEST(CorpusSpec, AllMistakesAreToldAtOnce) {
  EXPECT_THAT(Parse("sed: 3\norder: no\n"),
              StatusIs(kInvalid, ::testing::AllOf(HasSubstr(":5: sed"),
                                                  HasSubstr(":6: order"))));
}

TEST(CorpusSpec, ATokenizerIsLoadedOrTrainedNotBoth) {
  ExpectError("tokenizer: {file: t.json, vocabulary_size: 300}\n",
              "cannot be trained too");
  LORY_ASSERT_OK_AND_ASSIGN(const CorpusSpec spec,
                            Parse("tokenizer: {file: t.json}\n"));
  EXPECT_EQ(spec.tokenizer_file, "/data/t.json");
}

TEST(CorpusSpec, AnInputSaysHowItIsRead) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const CorpusSpec spec,
      Parse("  - {path: texts, format: text, domain: notes}\n"
            "  - {path: pile, text_key: content, id_key: url,\n"
            "     domain_key: /meta/set}\n"));
  EXPECT_EQ(spec.inputs[0].format, InputFormat::kJsonLines);
  EXPECT_EQ(spec.inputs[1].format, InputFormat::kText);
  EXPECT_EQ(spec.inputs[2].keys.text, "content");
  EXPECT_EQ(spec.inputs[2].keys.id, "url");
  EXPECT_EQ(spec.inputs[2].keys.domain, "/meta/set");
  ExpectError("  - {path: x, format: txt}\n",
              "inputs[1].format: must be jsonl or text or megatron or mds, not "
              "'txt'");
  ExpectError("  - {path: x, format: text, id_key: y}\n",
              "inputs[1].id_key: text files have no keys");
}

TEST(CorpusSpec, InputsOfTokensNeedTheTokenizerThatMadeThem) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const CorpusSpec spec,
      Parse("  - {path: m, format: megatron}\n"
            "  - {path: i, format: mds, tokens_key: ids, tokens_type: int64}\n"
            "  - {path: t, format: mds, text_key: body}\n"
            "tokenizer: {file: t.json}\n"));
  EXPECT_FALSE(HoldsTokens(spec.inputs[0]));
  EXPECT_TRUE(HoldsTokens(spec.inputs[1]));
  EXPECT_TRUE(HoldsTokens(spec.inputs[2]));
  EXPECT_EQ(spec.inputs[2].keys.tokens, "ids");
  EXPECT_EQ(spec.inputs[2].token_type, TokenType::kInt64);
  EXPECT_FALSE(HoldsTokens(spec.inputs[3]));
  EXPECT_EQ(spec.inputs[3].keys.text, "body");
  EXPECT_OK(Parse("  - {path: t, format: mds, text_key: body}\n"));
  for (const char* format : {"megatron", "mds"}) {
    ExpectError(absl::StrCat("  - {path: m, format: ", format, "}\n"),
                "corpus.yaml:5: inputs[1]: holds tokens: tokenizer.file must");
  }
}

TEST(CorpusSpec, KeysOfTokensAreForMdsAlone) {
  ExpectError("  - {path: x, tokens_key: y}\n",
              "inputs[1].tokens_key: is for format: mds alone");
  ExpectError("  - {path: x, format: megatron, tokens_type: int32}\n",
              "inputs[1].tokens_type: is for format: mds alone");
  ExpectError("  - {path: x, format: megatron, text_key: y}\n",
              "inputs[1].text_key: megatron files have no keys");
  ExpectError("  - {path: x, format: mds, text_key: y, tokens_key: z}\n",
              "inputs[1].tokens_key: a document is either tokens or text");
  ExpectError("  - {path: x, format: mds, tokens_type: float32}\n",
              "inputs[1].tokens_type: must be uint8 or int8 or");
}

TEST(CorpusSpec, DomainNamesCannotLeadOutOfAFolder) {
  for (const char* name : {"news", "a.b", "C-3_po"}) {
    EXPECT_TRUE(IsDomainName(name)) << name;
  }
  for (const char* name : {"", ".", "..", "a/b", ".hidden", "-x", "a b"}) {
    EXPECT_FALSE(IsDomainName(name)) << name;
  }
  EXPECT_FALSE(IsDomainName(std::string(65, 'a')));
}

TEST(CorpusSpec, AFileThatIsNotThereIsAMistake) {
  EXPECT_THAT(ReadCorpusSpec("/nowhere/c.yaml"),
              StatusIs(kInvalid, HasSubstr("no such spec")));
}

TEST(CorpusSpec, WhatItNamesAndIsNotThereIsToldAllAtOnceWithItsLines) {
  const TemporaryFolder folder;
  const std::string path = folder.Write(
      "c.yaml",
      "name: n\noutput: o\ninputs:\n  - path: c.yaml\n  - path: a\n"
      "  - {path: b, format: megatron}\n  - {path: d.bin, format: megatron}\n"
      "tokenizer: {file: t}\nembed: {kind: bert, model: m}\n");
  const auto spec = ReadCorpusSpec(path);
  const auto named = [&](int line, const char* key, const char* what,
                         const char* name) {
    return HasSubstr(absl::StrCat(path, ":", line, ": ", key, ": there is no ",
                                  what, " ", folder.At(name)));
  };
  EXPECT_THAT(
      spec,
      StatusIs(kInvalid,
               AllOf(named(5, "inputs[1].path", "file or folder", "a\n"),
                     named(6, "inputs[2].path",
                           "file or folder of this name, nor with .idx or "
                           ".bin:",
                           "b\n"),
                     named(7, "inputs[3].path", ".idx beside", "d.bin\n"),
                     named(8, "tokenizer.file", "file", "t\n"),
                     named(9, "embed.model", "folder", "m"))));
  EXPECT_THAT(spec.status().message(), Not(HasSubstr("inputs[0]")));
}

// Megatron-LM's own programs take what the names of both files begin with.
TEST(CorpusSpec, MegatronDatasetsAreNamedByEitherFileOrTheirPrefix) {
  const TemporaryFolder folder;
  folder.Write("x.idx", "");
  folder.Write("x.bin", "");
  folder.Write("t.json", "");
  for (const char* name : {"x", "x.idx", "x.bin"}) {
    const auto spec = ReadCorpusSpec(folder.Write(
        "c.yaml", absl::StrCat("name: n\noutput: o\ninputs:\n  - {path: ", name,
                               ", format: megatron}\n"
                               "tokenizer: {file: t.json}\n")));
    ASSERT_OK(spec);
    EXPECT_EQ(spec->inputs[0].path, folder.At("x.idx")) << name;
  }
}

TEST(CorpusSpec, MutationsAreReadOrRefusedWithALine) {
  const std::string good = absl::StrCat(
      kMinimal, "  - {path: m, format: mds, tokens_key: t}\n",
      "tokenizer: {file: t.json}\nmixture: {a: 1, b: 2.5}\n",
      "holdout_domains: [c]\nneighbors: {k: 3, near_duplicate: 0.9}\n");
  lory::testing::Mutations mutations(20261202);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto spec = ParseCorpusSpec(mutations.Of(good), "c.yaml", "/data");
    refused += !spec.ok();
    EXPECT_TRUE(spec.ok() ||
                (spec.status().code() == kInvalid &&
                 absl::StrContains(spec.status().message(), "c.yaml:")))
        << spec.status();
  }
  EXPECT_GT(refused, 500);
  EXPECT_LT(refused, 1990);
}

}  // namespace
}  // namespace lory::corpus
