#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/corpus/compress.h"
#include "tests/unit/tools/corpus/token_samples.h"
#include "tools/corpus/line_reader.h"
#include "tools/corpus/mds_index.h"
#include "tools/corpus/mds_sample.h"
#include "tools/corpus/mds_shard.h"

namespace lory::corpus {
namespace {

using ::lory::testing::Mutations;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const auto kInvalidMds = absl::StatusCode::kInvalidArgument;
const auto kDamagedMds = absl::StatusCode::kDataLoss;

struct MdsTest : ::testing::Test {
  // A shard of these bytes and an index that says so, or something else.
  absl::StatusOr<std::vector<MdsShard>> Index(
      const std::string& shard, size_t samples,
      const std::vector<std::pair<std::string, std::string>>& changes = {}) {
    folder.Write("shard.00000.mds", shard);
    const std::string index =
        MdsIndex({MdsEntry(0, samples, shard.size(), {"tokens"}, {"ndarray"})});
    return ReadMdsIndex(folder.Write(
        "index.json",
        changes.empty() ? index : absl::StrReplaceAll(index, changes)));
  }
  void ExpectBadIndex(const std::string& from, const std::string& to,
                      const std::string& message) {
    EXPECT_THAT(Index(MdsShardBytes({"a"}), 1, {{from, to}}),
                StatusIs(kInvalidMds,
                         AllOf(HasSubstr("index.json: "), HasSubstr(message))))
        << to;
  }
  // All samples of the first shard, or the first error.
  absl::StatusOr<std::vector<std::string>> Samples(
      const absl::StatusOr<std::vector<MdsShard>>& shards) {
    if (!shards.ok()) return shards.status();
    auto reader = MdsShardReader::Open(shards->at(0));
    if (!reader.ok()) return reader.status();
    std::vector<std::string> samples;
    while (true) {
      const auto sample = (*reader)->Next();
      if (!sample.ok()) return sample.status();
      if (!*sample) return samples;
      samples.push_back(std::string(**sample));
    }
  }
  void ExpectBadShard(const std::string& shard, size_t samples,
                      const std::string& message) {
    EXPECT_THAT(Samples(Index(shard, samples)),
                StatusIs(kDamagedMds, AllOf(HasSubstr("shard.00000.mds: "),
                                            HasSubstr(message))));
  }

  TemporaryFolder folder;
};

TEST_F(MdsTest, SamplesComeInTheirOrder) {
  const std::string long_one(3 << 20, 'x');
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto samples,
      Samples(Index(MdsShardBytes({"a", "", "ccc", long_one, "e"}), 5)));
  EXPECT_THAT(samples, ElementsAre("a", "", "ccc", long_one, "e"));
  EXPECT_THAT(*Samples(Index(MdsShardBytes({}), 0)), ElementsAre());
}

TEST_F(MdsTest, PackedShardsAreReadWhereThereIsNoPlainOne) {
  const std::string raw = MdsShardBytes({"one", "two"});
  for (const bool gzip : {true, false}) {
    const std::string packed = gzip ? Gzipped(raw) : Zstandard(raw);
    const std::string name =
        absl::StrCat("shard.00000.mds.", gzip ? "gz" : "zstd");
    const std::string zip =
        absl::StrCat(R"({"basename": ")", name, R"(", "bytes": )",
                     packed.size(), R"(, "hashes": {}})");
    TemporaryFolder own;
    own.Write(name, packed);
    const std::string index = own.Write(
        "index.json",
        MdsIndex({MdsEntry(0, 2, raw.size(), {"tokens"}, {"ndarray"}, zip)}));
    EXPECT_THAT(*Samples(ReadMdsIndex(index)), ElementsAre("one", "two"));
    own.Write(name, packed.substr(0, packed.size() - 1));
    EXPECT_THAT(
        ReadMdsIndex(index),
        StatusIs(kDamagedMds,
                 AllOf(HasSubstr(name), HasSubstr("truncated or altered"))));
    // Unpacked beside it, as the streaming library does: the plain one.
    own.Write("shard.00000.mds", raw);
    LORY_ASSERT_OK_AND_ASSIGN(const auto shards, ReadMdsIndex(index));
    EXPECT_EQ(shards[0].path, own.At("shard.00000.mds"));
  }
}

TEST_F(MdsTest, APackedShardMustUnpackToWhatTheIndexSays) {
  const std::string raw = MdsShardBytes({"one", "two"});
  for (const int more : {-1, 1}) {
    const std::string packed = Zstandard(raw);
    const std::string zip = absl::StrCat(R"({"basename": "s.zstd", "bytes": )",
                                         packed.size(), R"(, "hashes": {}})");
    folder.Write("s.zstd", packed);
    EXPECT_THAT(
        Samples(ReadMdsIndex(folder.Write(
            "index.json", MdsIndex({MdsEntry(0, 2, raw.size() + more,
                                             {"tokens"}, {"ndarray"}, zip)})))),
        StatusIs(kDamagedMds, HasSubstr("s.zstd: ")));
  }
}

TEST_F(MdsTest, WhatIsNoIndexIsNamedByItsEntry) {
  EXPECT_OK(Index(MdsShardBytes({"a"}), 1));
  EXPECT_OK(ReadMdsIndex(folder.Write("i", MdsIndex({}))));
  for (const std::string& text :
       {std::string(), std::string("[1]"), std::string("{\"a\":"),
        std::string(100'000, '['), std::string("\xff\xfe")}) {
    EXPECT_THAT(
        ReadMdsIndex(folder.Write("index.json", text)),
        StatusIs(kInvalidMds, HasSubstr("index.json: no index of MDS")));
  }
  ExpectBadIndex("\"version\": 2}", "\"version\": 3}",
                 "version: must be a whole number from 2 to 2");
  ExpectBadIndex("\"version\": 2}", "\"of\": 2}", "version: is missing");
  ExpectBadIndex("\"shards\"", "\"shard\"", "shards: is missing");
  ExpectBadIndex("[{", "[1, {", "shards[0].version: is missing");
  ExpectBadIndex("\"mds\"", "\"xsv\"", "shards[0].format: is 'xsv'");
  ExpectBadIndex("\"samples\": 1", "\"samples\": 1.5",
                 "shards[0].samples: must be a whole number from 0 to ");
  ExpectBadIndex("\"samples\": 1", "\"samples\": -1", "shards[0].samples");
  ExpectBadIndex("\"samples\": 1", "\"samples\": 99999999999",
                 "shards[0].samples");
  ExpectBadIndex("\"bytes\": ", "\"bytes\": 99999999999",
                 "raw_data.bytes: must be");
  ExpectBadIndex("\"raw_data\": {", "\"raw_data\": 7, \"x\": {",
                 "shards[0].raw_data.basename: is missing");
  ExpectBadIndex("[\"tokens\"]", "[]", "shards[0]: 0 column_names, 1 ");
  ExpectBadIndex("[\"tokens\"]", "[[]]", "column_names[0]: must be text");
  ExpectBadIndex("[null]", "[-8]", "column_sizes[0]: must be null or a size");
  ExpectBadIndex("[null]", "{}", "column_sizes: must be a list");
}

TEST_F(MdsTest, AnIndexCannotReachOutOfItsFolder) {
  for (const char* name : {"../shard.00000.mds", "/etc/passwd", "a/../../b", "",
                           "a//b", "./a", "a\\u0000b"}) {
    ExpectBadIndex("shard.00000.mds", name,
                   "shards[0].raw_data.basename: must name a file beneath");
  }
}

TEST_F(MdsTest, AShardThatIsNotThereOrUnreadableSaysSo) {
  EXPECT_THAT(
      Index("", 0, {{"00000.mds", "00001.mds"}}),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("shard.00001.mds")));
  EXPECT_THAT(
      Index(MdsShardBytes({"a"}), 1, {{"\"bytes\": 3", "\"bytes\": 4"}}),
      StatusIs(kDamagedMds, HasSubstr("its index says 4")));
  TemporaryFolder own;
  EXPECT_THAT(ReadMdsIndex(own.Write(
                  "index.json",
                  MdsIndex({MdsEntry(0, 1, 40, {"tokens"}, {"ndarray"},
                                     R"({"basename": "s.br", "bytes": 9})")}))),
              StatusIs(kInvalidMds,
                       AllOf(HasSubstr("s.br"), HasSubstr("Unpack it to "))));
}

TEST_F(MdsTest, ADamagedShardIsNamedWithItsByte) {
  const std::string good = MdsShardBytes({"aaa", "bbb"});
  ExpectBadShard(good, 3, "it has 2 samples, its index says 3");
  std::string bad = good;
  bad[8] = 0;  // the end of the first sample
  ExpectBadShard(bad, 2, "offset 1 (byte 8) is 0; must be from 37 to 43");
  bad = good;
  bad[4] = 3;
  ExpectBadShard(bad, 2, "offset 0 (byte 4) is 3; must be from 16 to 43");
  bad = good + "x";
  ExpectBadShard(bad, 2, "its samples end at byte 43 of 44");
}

TEST_F(MdsTest, ASampleTooLongIsLeftOutAndTheNextOneRead) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto shards,
      Index(MdsShardBytes({"a", std::string(kMaxLineBytes + 1, 'x'), "c"}), 3));
  LORY_ASSERT_OK_AND_ASSIGN(const auto reader, MdsShardReader::Open(shards[0]));
  EXPECT_EQ(**reader->Next(), "a");
  EXPECT_THAT(reader->Next(), StatusIs(absl::StatusCode::kOutOfRange,
                                       HasSubstr("longer than 64 MiB")));
  EXPECT_EQ(reader->sample_number(), 1);
  EXPECT_EQ(**reader->Next(), "c");
}

// ---- what is in a sample ----

absl::StatusOr<MdsSampleReader> ReaderOf(const std::string& encoding,
                                         int64_t size = 0,
                                         std::optional<TokenType> type = {}) {
  CorpusInput input;
  input.token_type = type;
  return MdsSampleReader::Create({{"tokens", encoding, size}}, input);
}

std::vector<int32_t> TokensOf(const MdsSampleReader& reader,
                              const std::string& sample) {
  std::vector<int32_t> tokens;
  const auto document = reader.Read(sample);
  EXPECT_OK(document);
  if (!document.ok()) return tokens;
  EXPECT_OK(AppendTokens(document->bytes, *document->type, 1000, &tokens));
  return tokens;
}

TEST(MdsSampleReader, TokensAreReadFromEveryKindOfArray) {
  // Type and shape in the value; an int32 list of two.
  const std::string values = Packed<int32_t>({7, 8});
  const std::string shape("\x04\x02", 2);
  EXPECT_THAT(TokensOf(*ReaderOf("ndarray"),
                       MdsSample({absl::StrCat("\x21", shape, values)})),
              ElementsAre(7, 8));
  EXPECT_THAT(TokensOf(*ReaderOf("ndarray"), MdsSample({DynamicArray({9})})),
              ElementsAre(9));
  EXPECT_THAT(TokensOf(*ReaderOf("ndarray:int32"),
                       MdsSample({absl::StrCat(shape, values)})),
              ElementsAre(7, 8));
  EXPECT_THAT(TokensOf(*ReaderOf("ndarray:int32:2", 8), values),
              ElementsAre(7, 8));
  EXPECT_THAT(TokensOf(*ReaderOf("bytes", 0, TokenType::kInt64),
                       MdsSample({Packed<int64_t>({5, 6})})),
              ElementsAre(5, 6));
  EXPECT_THAT(TokensOf(*ReaderOf("ndarray:uint16"),
                       MdsSample({std::string("\x04\x01\x0a\x00", 4)})),
              ElementsAre(10));
}

TEST(MdsSampleReader, ColumnsThatHoldNoTokensAreNamedWithTheKeyThatMendsIt) {
  EXPECT_THAT(ReaderOf("bytes"),
              StatusIs(kInvalidMds, HasSubstr("tokens_type")));
  EXPECT_THAT(ReaderOf("ndarray:float32"),
              StatusIs(kInvalidMds, HasSubstr("token ids are whole numbers")));
  EXPECT_THAT(ReaderOf("pkl"),
              StatusIs(kInvalidMds, HasSubstr("is pkl: tokens are")));
  EXPECT_THAT(ReaderOf("ndarray:int32:2,4", 32),
              StatusIs(kInvalidMds, HasSubstr("has another shape")));
  EXPECT_THAT(ReaderOf("ndarray:int32:2", 9),
              StatusIs(kInvalidMds, HasSubstr("in 9 bytes has another shape")));
  // More tokens than can be counted: their bytes would be 8 again.
  EXPECT_THAT(ReaderOf("ndarray:int64:2305843009213693953", 8),
              StatusIs(kInvalidMds, HasSubstr("in 8 bytes has another shape")));
  for (const char* own : {"ndarray", "ndarray:int32", "ndarray:int64"}) {
    EXPECT_THAT(ReaderOf(own, 0, TokenType::kInt64),
                StatusIs(kInvalidMds, HasSubstr("tokens_type out")));
  }
  EXPECT_THAT(ReaderOf("ndarray:int32:2:3"),
              StatusIs(kInvalidMds, HasSubstr("read")));
  CorpusInput input;
  EXPECT_THAT(
      MdsSampleReader::Create({{"text", "str"}, {"n", "int", 8}}, input),
      StatusIs(kInvalidMds,
               AllOf(HasSubstr("no column tokens (it has text: str, n: "
                               "int)"),
                     HasSubstr("text_key"))));
  input.keys.tokens = "";
  EXPECT_THAT(MdsSampleReader::Create({{"text", "bytes"}}, input),
              StatusIs(kInvalidMds, HasSubstr("must name one of str")));
}

TEST(MdsSampleReader, OnlyColumnsThatWereAskedForMustHoldNamesAndDomains) {
  CorpusInput input;
  input.keys = {.id = "key", .domain = "from", .tokens = ""};
  const auto create = [&](const char* name) {
    return MdsSampleReader::Create({{"text", "str"}, {name, "jpeg"}}, input);
  };
  EXPECT_THAT(create("key"),
              StatusIs(kInvalidMds,
                       HasSubstr("column key is jpeg: inputs[].id_key must")));
  EXPECT_THAT(create("from"),
              StatusIs(kInvalidMds, HasSubstr("inputs[].domain_key must")));
  input.domain = "web";  // of all, so that no column is asked
  EXPECT_OK(create("from"));
  input = {};
  input.keys.tokens = "";
  for (const char* name : {"id", "domain"}) {
    LORY_ASSERT_OK_AND_ASSIGN(const auto reader, create(name));
    LORY_ASSERT_OK_AND_ASSIGN(const auto document,
                              reader.Read(MdsSample({"words", "\xff"})));
    EXPECT_EQ(document.name, "");
    EXPECT_EQ(document.domain, "");
  }
}

TEST(MdsSampleReader, NamesAndDomainsComeFromTheirColumns) {
  CorpusInput input;
  input.keys = {.text = "body", .id = "n", .domain = "from", .tokens = ""};
  LORY_ASSERT_OK_AND_ASSIGN(
      const auto reader,
      MdsSampleReader::Create(
          {{"body", "str"}, {"from", "str"}, {"n", "int16", 2}}, input));
  const std::string sample = absl::StrCat(Packed<uint32_t>({5, 4}), "hellonews",
                                          Packed<int16_t>({-3}));
  LORY_ASSERT_OK_AND_ASSIGN(const MdsDocument document, reader.Read(sample));
  EXPECT_EQ(document.bytes, "hello");
  EXPECT_EQ(document.domain, "news");
  EXPECT_EQ(document.name, "-3");
  EXPECT_FALSE(document.type);
  EXPECT_THAT(
      reader.Read(absl::StrReplaceAll(sample, {{"news", "a/b "}})),
      StatusIs(kInvalidMds, HasSubstr("\"from\" must be 1 to 64 letters")));
}

TEST(MdsSampleReader, SizesThatDoNotFitAreNamed) {
  const auto reader = *ReaderOf("ndarray");
  const auto expect = [&](const std::string& sample,
                          const std::string& message) {
    EXPECT_THAT(reader.Read(sample), StatusIs(kInvalidMds, HasSubstr(message)));
  };
  const std::string array = DynamicArray({1, 2});
  expect("123", "3 bytes are too few for its 1 sizes");
  expect(Packed<uint32_t>({9}) + "1234", "\"tokens\" should have 9 bytes, 4 ");
  expect(MdsSample({array}) + "z", "1 bytes are left over behind");
  expect(MdsSample({""}), "cut off before its type");
  expect(MdsSample({"\x21"}), "cut off before its shape");
  expect(MdsSample({"\x21\x06"}), "cut off in its shape");
  expect(MdsSample({"\x22\x04\x01zzzz"}), "is of type 34, which is no whole");
  expect(MdsSample({std::string("\x21\x08\x01\x01zzzz", 8)}),
         "has 2 dimensions; tokens have one");
  expect(MdsSample({array.substr(0, array.size() - 1)}),
         "should be 2 tokens of int32, 7 bytes are there");
  expect(MdsSample({array + "1234"}), "12 bytes are there");
}

// ---- mutations ----

TEST_F(MdsTest, MutationsOfAnIndexAreReadOrRefused) {
  folder.Write("shard.00000.mds", MdsShardBytes({"a"}));
  const std::string good =
      MdsIndex({MdsEntry(0, 1, MdsShardBytes({"a"}).size(), {"tokens", "id"},
                         {"ndarray", "str"})});
  Mutations mutations(20261124);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto shards =
        ReadMdsIndex(folder.Write("index.json", mutations.Of(good)));
    refused += !shards.ok();
    if (!shards.ok()) continue;
    for (const MdsShard& shard : *shards) {
      EXPECT_THAT(shard.path, StartsWith(folder.At("shard")));
      EXPECT_LE(4 * shard.samples, shard.raw_bytes);
      const auto samples = MdsSampleReader::Create(shard.columns, {});
      EXPECT_FALSE(samples.ok() && samples->Read("a").ok());
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 2990);
}

TEST_F(MdsTest, MutationsOfAShardAreReadOrRefused) {
  const std::string good = MdsShardBytes(
      {MdsSample({DynamicArray({1, 2, 3})}), MdsSample({DynamicArray({4})})});
  LORY_ASSERT_OK_AND_ASSIGN(auto shards, Index(good, 2));
  const auto samples = *ReaderOf("ndarray");
  Mutations mutations(20261125);
  int whole = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string bytes = mutations.Of(good);
    folder.Write("shard.00000.mds", bytes);
    shards[0].raw_bytes = static_cast<int64_t>(bytes.size());
    const auto read = Samples(shards);
    if (!read.ok()) continue;
    for (const std::string& sample : *read) {
      const auto document = samples.Read(sample);
      std::vector<int32_t> tokens;
      whole += document.ok() &&
               AppendTokens(document->bytes, *document->type, 10, &tokens).ok();
    }
  }
  EXPECT_GT(whole, 100);
}

}  // namespace
}  // namespace lory::corpus
