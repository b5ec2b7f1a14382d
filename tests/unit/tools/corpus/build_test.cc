#include "tools/corpus/build.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/data/dataset.h"
#include "common/io/storage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/corpus/build_fixture.h"
#include "tests/unit/tools/corpus/made_up_dataset.h"
#include "tests/unit/tools/corpus/topic_encoder.h"
#include "tools/corpus/build_lock.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/inspect.h"
#include "tools/corpus/stats.h"
#include "tools/corpus/verify.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct BuildTest : BuildFixture {};

TEST_F(BuildTest, MakesADatasetThatOpensAndVerifies) {
  EXPECT_EQ(Build().size(), 10u);
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto dataset,
      data::Dataset::Open(spec.output + "/manifest.json", true));
  EXPECT_EQ(dataset->manifest().name, "test");
  EXPECT_EQ(dataset->manifest().order, "similarity");
  ASSERT_EQ(dataset->manifest().held_out.size(), 2u);
  EXPECT_EQ(dataset->manifest().held_out[0].domain, "d0");
  EXPECT_GT(dataset->sequence_count(), 50);
  EXPECT_GT(dataset->manifest().neighbor_similarity, 0.4);
  LORY_ASSERT_OK_AND_ASSIGN(const std::string sound, Verify());
  EXPECT_THAT(sound, HasSubstr("test is sound"));
}

TEST_F(BuildTest, ASecondBuildFindsEverythingUpToDate) {
  Build();
  const std::string manifest = Read("manifest.json");
  EXPECT_THAT(Build(), IsEmpty());
  EXPECT_EQ(Read("manifest.json"), manifest);
}

TEST_F(BuildTest, TheSameSpecGivesTheSameBytesElsewhere) {
  Build();
  const std::string first = Read("manifest.json");
  spec.output = folder.At("elsewhere");
  Build();
  EXPECT_EQ(Read("manifest.json"), first);
}

TEST_F(BuildTest, AChangedOptionRedoesExactlyWhatDependsOnIt) {
  Build();
  spec.sequence_length = 32;
  // Held-out documents depend on what a context needs, and all did fit.
  EXPECT_THAT(Build(), ElementsAre("pack", "split"));
  spec.order = DocumentOrder::kRandom;
  EXPECT_THAT(Build(), ElementsAre("order", "pack"));
  spec.neighbors.k = 6;
  EXPECT_THAT(Build(), ElementsAre("duplicates", "neighbors", "order"));
  spec.neighbors.memory_mb = 1;  // decides on nothing
  EXPECT_THAT(Build(), ElementsAre());
  spec.shingle_overlap = 0.4;
  EXPECT_THAT(Build(), ElementsAre("duplicates"));
  spec.vocabulary_size = 280;
  EXPECT_THAT(Build(), ElementsAre("pack", "tokenize", "tokenizer"));
}

TEST_F(BuildTest, HowManyBadLinesAreAllowedRedoesNothing) {
  spec.inputs = {
      {.path = folder.Write("in.jsonl", TopicLines() + "no JSON\nnor this\n")}};
  spec.max_errors = 2;
  EXPECT_TRUE(Build().contains("ingest"));
  spec.max_errors = 3;
  EXPECT_THAT(Build(), ElementsAre());
  spec.max_errors = 1;
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("2 bad lines, more than 1 (max_errors)")));
  captured.Take();
  spec.max_errors = 2;
  EXPECT_THAT(Build(), ElementsAre());
}

TEST_F(BuildTest, AKilledStageIsDoneAgainAndNothingElse) {
  Build();
  const std::string manifest = Read("manifest.json");
  ASSERT_OK(
      io::LocalStorage().Remove(spec.output + "/stages/embed/stage.json"));
  EXPECT_THAT(Build(), ElementsAre("embed"));
  EXPECT_EQ(Read("manifest.json"), manifest);
  EXPECT_THAT(Build("order"), ElementsAre("order"));
}

TEST_F(BuildTest, AnEncoderMakesVectorsOfItsOwnSize) {
  spec.encoder.model = WriteTopicEncoder(folder, "model");
  Build();
  EXPECT_EQ(Read("stages/embed/vectors.f32").size(), 240u * 12 * sizeof(float));
  EXPECT_FALSE(std::filesystem::exists(spec.output + "/stages/embed-blocks"));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string sound, Verify());
  EXPECT_THAT(sound, HasSubstr("test is sound"));
  spec.encoder.model = WriteTopicEncoder(folder, "moved");
  EXPECT_THAT(Build(), IsEmpty());
  const std::string manifest = Read("manifest.json");
  EXPECT_TRUE(Build("embed").contains("embed"));
  EXPECT_EQ(Read("manifest.json"), manifest);
  spec.encoder.pooling = Pooling::kCls;
  EXPECT_TRUE(Build().contains("neighbors"));
  spec.encoder.model.clear();
  EXPECT_TRUE(Build().contains("embed"));
}

TEST_F(BuildTest, AModelThatCannotBeRunIsSaidBeforeAnythingIsRead) {
  spec.encoder.model = folder.At("nowhere");
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("nowhere: no such folder: embed.model")));
  EXPECT_FALSE(std::filesystem::exists(spec.output + "/stages"));
}

// One file of each stage, with its middle bits flipped.
TEST_F(BuildTest, DamagedFilesOfStagesNeverReachTheDataset) {
  spec.mixture = {{"d0", 3}, {"d1", 1}};
  Build();
  spec.sequence_length = 32;
  Build();
  const std::string manifest = Read("manifest.json");
  for (const char* file :
       {"ingest/documents.text", "ingest/documents.index", "ingest/domains.txt",
        "split/held_out.bytes", "tokenizer/tokenizer.json",
        "tokenize/tokens.i32", "tokenize/ends.i64", "embed/vectors.f32",
        "neighbors/neighbors.bin", "duplicates/dropped.bytes",
        "mixture/copies.bytes", "order/order.i32"}) {
    spec.sequence_length = 64;
    Build();
    std::string bytes = Read(absl::StrCat("stages/", file));
    bytes[bytes.size() / 2] ^= 0x55;
    folder.Write(absl::StrCat("out/stages/", file), bytes);
    spec.sequence_length = 32;
    Build();
    EXPECT_EQ(Read("manifest.json"), manifest) << file;
  }
  EXPECT_OK(Verify());
}

TEST_F(BuildTest, AFolderMayHoldTheOutput) {
  folder.Write("texts/a.txt", TopicLines(80));
  folder.Write("texts/b.txt", TopicLines(81));
  spec.inputs = {{.path = folder.At("texts"),
                  .domain = "d",
                  .format = InputFormat::kText}};
  spec.output = folder.At("texts/out");
  spec.held_out_fraction = 0;
  Build();
  EXPECT_THAT(Build(), IsEmpty());
  spec.output = folder.At("texts");
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("inputs[0].path")));
}

TEST_F(BuildTest, ADamagedShardIsFoundAndMended) {
  Build();
  ASSERT_OK(io::LocalStorage().Remove(spec.output + "/train-00000.bin"));
  EXPECT_TRUE(absl::IsNotFound(Verify().status()));
  EXPECT_THAT(Build(), ElementsAre("pack"));
  EXPECT_OK(Verify());
}

TEST_F(BuildTest, TheRandomOrderHasTheSameDocuments) {
  Build();
  const auto ids = DocumentIds();
  const auto similar =
      data::ReadDatasetManifest(spec.output + "/manifest.json");
  spec.order = DocumentOrder::kRandom;
  Build();
  EXPECT_EQ(DocumentIds(), ids);
  const auto random = data::ReadDatasetManifest(spec.output + "/manifest.json");
  EXPECT_EQ(random->order, "random");
  EXPECT_EQ(random->token_count, similar->token_count);
  EXPECT_LT(random->neighbor_similarity, similar->neighbor_similarity - 0.2);
  EXPECT_OK(Verify());
}

TEST_F(BuildTest, HeldOutDocumentsAreNotTrained) {
  Build();
  const int64_t trained = static_cast<int64_t>(DocumentIds().size());
  EXPECT_LT(trained, 240 - 10);
  spec.held_out_fraction = 0;
  Build();
  EXPECT_GT(static_cast<int64_t>(DocumentIds().size()), trained);
  const auto manifest =
      data::ReadDatasetManifest(spec.output + "/manifest.json");
  EXPECT_TRUE(manifest->held_out.empty());
}

TEST_F(BuildTest, NearCopiesAreDroppedReportedAndNeverAcrossTheSplit) {
  spec.inputs = {
      {.path = folder.Write("near.jsonl", WithNearCopies(TopicLines()))}};
  spec.near_duplicate = 0.9;
  spec.held_out_fraction = 0.2;
  Build();
  EXPECT_OK(Verify());
  LORY_ASSERT_OK_AND_ASSIGN(
      const DocumentStore store,
      DocumentStore::Open(spec.output + "/stages/ingest"));
  const std::string held_out = Read("stages/split/held_out.bytes");
  const std::string dropped = Read("stages/duplicates/dropped.bytes");
  ASSERT_EQ(held_out.size(), 320u);
  int across = 0, inside = 0;
  for (int i = 0; i < 80; ++i) {
    const int original = 3 * i + 2;
    const int copy = 240 + i;
    if (held_out[original] && held_out[copy]) continue;
    if (!held_out[original] && !held_out[copy]) {
      ++inside;
      EXPECT_TRUE(!dropped[original] && dropped[copy]) << i;
      continue;
    }
    ++across;
    EXPECT_EQ(dropped[original], !held_out[original]) << i;
    EXPECT_EQ(dropped[copy], !held_out[copy]) << i;
  }
  EXPECT_GT(across, 5);
  EXPECT_GT(inside, 5);
  const std::string report = Read("stages/duplicates/near_duplicates.jsonl");
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), across + inside);
  EXPECT_THAT(report, HasSubstr(R"("kept_is":"held out")"));
}

TEST_F(BuildTest, AHoldoutDomainIsNotTrainedAtAll) {
  spec.holdout_domains = {"d1"};
  Build();
  EXPECT_OK(Verify());
  const auto documents = ReadDocumentIndex(spec.output + "/documents.jsonl");
  for (const auto& document : *documents) EXPECT_EQ(document.domain, "d0");
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto manifest,
      data::ReadDatasetManifest(spec.output + "/manifest.json"));
  ASSERT_EQ(manifest.held_out.size(), 2u);
  EXPECT_FALSE(manifest.held_out[0].kept_out);
  EXPECT_TRUE(manifest.held_out[1].kept_out);
  spec.holdout_domains = {"d2"};
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no document is of domain d2; there are d")));
  spec.holdout_domains = {"d0", "d1"};
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("nothing is left to train on")));
}

TEST_F(BuildTest, AMixtureRepeatsDocumentsInPassesAndIsSound) {
  spec.mixture = {{"d0", 3}, {"d1", 1}};
  const auto summary = BuildDataset(spec, {}, captured.progress());
  ASSERT_OK(summary);
  EXPECT_THAT(captured.Take(), HasSubstr("epochs of each domain: d"));
  EXPECT_OK(Verify());
  std::map<std::string, int64_t> tokens, last;
  const auto documents = ReadDocumentIndex(spec.output + "/documents.jsonl");
  int64_t pass = 0;
  for (const auto& document : *documents) {
    tokens[document.domain] += document.token_count;
    EXPECT_GE(document.pass, pass);  // one pass after the other
    pass = document.pass;
  }
  EXPECT_EQ(pass, 1);
  EXPECT_NEAR(static_cast<double>(tokens["d0"]) /
                  static_cast<double>(tokens["d0"] + tokens["d1"]),
              0.75, 0.01);
  spec.mixture = {{"d0", 1}};
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("domain d1 has no weight")));
  // Told with its line, where a file has one.
  spec.places = {{"mixture", "c.yaml:9"}, {"holdout_domains", "c.yaml:5"}};
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()).status().message(),
              HasSubstr("c.yaml:9: mixture: domain d1"));
  spec.holdout_domains = {"none"};
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()).status().message(),
              HasSubstr("c.yaml:5: holdout_domains: no document"));
}

TEST_F(BuildTest, VerifyFindsADocumentThatIsThereTwice) {
  Build();
  auto documents = *ReadDocumentIndex(spec.output + "/documents.jsonl");
  documents[7].id = documents[3].id;
  std::string lines;
  for (const auto& document : documents) {
    lines += SerializeIndexedDocument(document);
  }
  folder.Write("out/documents.jsonl", lines);
  EXPECT_THAT(Verify(), StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr("is there twice")));
}

TEST_F(BuildTest, WhatAnOrderDoesNotUseIsSaid) {
  spec.order = DocumentOrder::kReleasedCode;
  spec.graph = Graph::kDirected;
  spec.neighbors.k = 3;
  spec.places = {{"neighbors.k", "c.yaml:4"}};
  ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
  const std::string said = captured.Take();
  EXPECT_THAT(said, HasSubstr("c.yaml:4: neighbors.k: order: released-code "
                              "looks at the 9 nearest, of which there are 3"));
  EXPECT_THAT(said, HasSubstr("neighbors.graph: is not used by order: "
                              "released-code"));
  spec.order = DocumentOrder::kSimilarity;
  ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
  EXPECT_EQ(captured.Take().find("neighbors.k"), std::string::npos);
}

TEST_F(BuildTest, SmallShardsAreNumberedThrough) {
  spec.shard_megabytes = 1;
  spec.sequence_length = 8;
  Build();
  EXPECT_OK(Verify());
}

TEST_F(BuildTest, InspectShowsDocumentsOfOneTopicTogether) {
  Build();
  LORY_ASSERT_OK_AND_ASSIGN(const std::string overview,
                            InspectDataset(spec.output, std::nullopt));
  EXPECT_THAT(overview, HasSubstr("d0"));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string sequence,
                            InspectDataset(spec.output + "/manifest.json", 3));
  EXPECT_THAT(sequence, HasSubstr("sequence 3 of "));
  EXPECT_THAT(sequence, HasSubstr("word"));
  EXPECT_THAT(InspectDataset(spec.output, 1'000'000),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("0 to ")));
}

TEST_F(BuildTest, VerifyFindsAnIndexThatIsNotThatOfTheShards) {
  Build();
  auto documents = *ReadDocumentIndex(spec.output + "/documents.jsonl");
  // Moves one boundary by one token.
  documents[4].token_count += 1;
  documents[5].first_token += 1;
  documents[5].token_count -= 1;
  std::string lines;
  for (const auto& document : documents) {
    lines += SerializeIndexedDocument(document);
  }
  folder.Write("out/documents.jsonl", lines);
  EXPECT_THAT(Verify(), StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr("end mark inside")));
}

TEST_F(BuildTest, VerifyFindsPlacesOfSequencesThatAreNotThoseOfTheShards) {
  Build();
  std::string places = Read("sequences.i64");
  std::swap(places[0], places[8]);
  folder.Write("out/sequences.i64", places);
  EXPECT_THAT(Verify(), StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr("says that sequence 0 begins at")));
  folder.Write("out/sequences.i64", places.substr(8));
  EXPECT_THAT(Verify(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("sequences")));
  // Older builds left none.
  EXPECT_OK(io::LocalStorage().Remove(spec.output + "/sequences.i64"));
  EXPECT_OK(Verify());
}

TEST_F(BuildTest, NeighborsByListsAreAsGoodAsTheyMustBe) {
  Build();
  const std::string exact = Read("manifest.json");
  captured.Take();
  spec.neighbors.method = SearchMethod::kLists;
  spec.neighbors.recall = 1;
  ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
  EXPECT_THAT(captured.Take(),
              HasSubstr("lists looked through, 100.0 % of a sample's"));
  // All neighbours were found, and the rest is the same.
  EXPECT_EQ(Read("manifest.json"), exact);
  const auto text = DatasetStats(spec.output);
  ASSERT_OK(text);
  EXPECT_THAT(*text, HasSubstr("100.0 % of those of a sample found"));
}

TEST_F(BuildTest, KeysOfAListSearchThatIsNotNeededAreNamed) {
  spec.places["neighbors.lists"] = "corpus.yaml:7";
  spec.places["neighbors.probes"] = "corpus.yaml:8";
  spec.neighbors.lists = 12;  // of the probes it says what they are anyway
  ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
  const std::string words = captured.Take();
  EXPECT_THAT(words,
              HasSubstr("corpus.yaml:7: neighbors.lists: is not used: up to "
                        "200000 documents are searched exactly"));
  EXPECT_THAT(words, Not(HasSubstr("neighbors.probes")));
  spec.neighbors.method = SearchMethod::kLists;
  ASSERT_OK(BuildDataset(spec, {}, captured.progress()));
  EXPECT_THAT(captured.Take(), Not(HasSubstr("is not used")));
}

TEST_F(BuildTest, MoreNeighborsThanDocumentsAreAllOfThem) {
  spec.neighbors.k = 1000;
  const auto summary = BuildDataset(spec, {}, captured.progress());
  ASSERT_OK(summary);
  EXPECT_THAT(captured.Take(), HasSubstr("(k is 1000, more than there are)"));
  EXPECT_OK(Verify());
}

TEST_F(BuildTest, DocumentsWithoutWordsStillMakeADataset) {
  std::string lines;
  for (int i = 1; i < 80; ++i) {
    absl::StrAppend(&lines, "{\"text\":\"", std::string(i, '!'), "\"}\n");
  }
  spec.inputs = {{.path = folder.Write("zero.jsonl", lines)}};
  spec.sequence_length = 8;
  Build();
  EXPECT_OK(Verify());
  EXPECT_GT(DocumentIds().size(), 70u);
}

TEST_F(BuildTest, ASecondBuildIntoTheSameFolderWaitsItsTurn) {
  LORY_ASSERT_OK_AND_ASSIGN(const auto lock, BuildLock::Take(spec.output));
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is building into")));
}

TEST_F(BuildTest, TooLittleTextForOneContextIsAnError) {
  spec.inputs = {
      {.path = folder.Write("one.jsonl", "{\"text\":\"a few words\"}")}};
  spec.sequence_length = 1024;
  EXPECT_THAT(BuildDataset(spec, {}, captured.progress()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("less than one context")));
}

}  // namespace
}  // namespace lory::corpus
