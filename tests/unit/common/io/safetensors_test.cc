#include "common/io/safetensors.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/mutations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"

namespace lory::io {
namespace {

using ::lory::testing::FaultyStorage;
using ::lory::testing::StatusIs;
using ::lory::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string FileOf(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, 'd');
}

std::string Entry(const std::string& name, const std::string& shape, int begin,
                  int end, const std::string& dtype = "F32") {
  return absl::StrFormat(
      R"("%s":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]})", name, dtype,
      shape, begin, end);
}

struct SafetensorsTest : ::testing::Test {
  // What Open says to a file of `header` and `data_bytes` bytes.
  absl::Status Try(const std::string& header, size_t data_bytes) {
    return SafetensorsReader::Open(
               folder.Write("t", FileOf(header, data_bytes)))
        .status();
  }
  void ExpectDamaged(const std::string& header, size_t data_bytes,
                     const std::string& why) {
    EXPECT_THAT(
        Try(header, data_bytes),
        StatusIs(absl::StatusCode::kDataLoss,
                 ::testing::AllOf(HasSubstr(why), HasSubstr(folder.At("t")))))
        << header;
  }

  TemporaryFolder folder;
  std::vector<float> weights = {1.5f, -2.f, 3.25f, 0.f, 1e30f, -0.f};
  std::vector<uint8_t> mask = {1, 0, 1};
  std::vector<int64_t> steps = {1'234'567'890'123};
  std::vector<TensorToWrite> tensors = {
      {{"mask", DType::kBool, {3}}, mask.data()},
      {{"layer.0.weight", DType::kF32, {2, 3}}, weights.data()},
      {{"empty", DType::kBf16, {0, 7}}, nullptr},
      {{"step", DType::kI64, {}}, steps.data()}};
};

TEST_F(SafetensorsTest, WhatIsWrittenIsReadBack) {
  LORY_ASSERT_OK_AND_ASSIGN(
      const std::string hash,
      WriteSafetensors(LocalStorage(), folder.At("t"), tensors,
                       {{"format", "pt"}, {"note", "a \"quoted\" \u00e9"}}));
  LORY_ASSERT_OK_AND_ASSIGN(const std::string file_hash,
                            FileSha256Hex(folder.At("t")));
  EXPECT_EQ(hash, file_hash);
  LORY_ASSERT_OK_AND_ASSIGN(const auto reader,
                            SafetensorsReader::Open(folder.At("t")));
  EXPECT_THAT(
      reader->metadata(),
      ElementsAre(Pair("format", "pt"), Pair("note", "a \"quoted\" \u00e9")));
  ASSERT_EQ(reader->tensors().size(), 4u);
  for (const TensorToWrite& tensor : tensors) {
    const TensorInfo* info = reader->Find(tensor.info.name);
    ASSERT_NE(info, nullptr) << tensor.info.name;
    EXPECT_EQ(info->dtype, tensor.info.dtype);
    EXPECT_EQ(info->shape, tensor.info.shape);
    const absl::string_view bytes = reader->Bytes(*info);
    ASSERT_EQ(bytes.size(), info->ElementCount() * SizeOf(info->dtype));
    if (bytes.empty()) continue;  // memcmp takes no null
    EXPECT_EQ(std::memcmp(bytes.data(), tensor.data, bytes.size()), 0);
  }
  EXPECT_EQ(reader->Find("nobody"), nullptr);
}

TEST_F(SafetensorsTest, EveryTensorIsAlignedToItsElements) {
  ASSERT_OK(
      WriteSafetensors(LocalStorage(), folder.At("t"), tensors, {}).status());
  LORY_ASSERT_OK_AND_ASSIGN(const auto reader,
                            SafetensorsReader::Open(folder.At("t")));
  for (const TensorInfo& info : reader->tensors()) {
    const auto address =
        reinterpret_cast<uintptr_t>(reader->Bytes(info).data());
    EXPECT_EQ(address % SizeOf(info.dtype), 0u) << info.name;
  }
}

TEST_F(SafetensorsTest, BadTensorsAreNotWritten) {
  const auto write = [&](TensorInfo info, const void* data) {
    const TensorToWrite one[] = {{std::move(info), data}};
    return WriteSafetensors(LocalStorage(), folder.At("t"), one, {}).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(write({"\xff", DType::kI8, {0}}, "")));
  EXPECT_TRUE(
      absl::IsInvalidArgument(write({"__metadata__", DType::kI8, {0}}, "")));
  EXPECT_TRUE(absl::IsInvalidArgument(write({"a", DType::kI8, {-1}}, "")));
  EXPECT_TRUE(absl::IsInvalidArgument(write({"a", DType::kI8, {1}}, nullptr)));
  const std::vector<TensorToWrite> twice = {tensors[0], tensors[0]};
  EXPECT_THAT(WriteSafetensors(LocalStorage(), folder.At("t"), twice, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("mask")));
  LORY_ASSERT_OK_AND_ASSIGN(const auto names,
                            LocalStorage().List(folder.path()));
  EXPECT_THAT(names, IsEmpty());
}

TEST_F(SafetensorsTest, AFullDiskAtAnyByteLeavesNoFile) {
  ASSERT_OK(
      WriteSafetensors(LocalStorage(), folder.At("u"), tensors, {}).status());
  LORY_ASSERT_OK_AND_ASSIGN(const int64_t size,
                            LocalStorage().Size(folder.At("u")));
  for (int64_t limit = 0; limit < size; limit += 7) {
    FaultyStorage storage(LocalStorage());
    storage.LimitBytes(limit);
    EXPECT_THAT(
        WriteSafetensors(storage, folder.At("t"), tensors, {}),
        StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("space")));
    EXPECT_THAT(storage.Read(folder.At("t")),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr("")));
  }
}

TEST_F(SafetensorsTest, AGoodHeaderOfSomebodyElseIsRead) {
  EXPECT_OK(Try("{}", 0));
  EXPECT_OK(Try(absl::StrCat("{", Entry("b", "[2]", 4, 12), ",",
                             Entry("a", "[]", 0, 4), "}   "),
                12));
}

TEST_F(SafetensorsTest, EveryTruncationIsFound) {
  ASSERT_OK(
      WriteSafetensors(LocalStorage(), folder.At("t"), tensors, {}).status());
  LORY_ASSERT_OK_AND_ASSIGN(const std::string bytes,
                            LocalStorage().Read(folder.At("t")));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string path = folder.Write("cut", bytes.substr(0, size));
    EXPECT_THAT(SafetensorsReader::Open(path),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)))
        << size;
  }
}

TEST_F(SafetensorsTest, AHugeHeaderLengthIsRefusedUnread) {
  for (const uint64_t length :
       {UINT64_MAX, UINT64_MAX - 7, uint64_t{1} << 62, uint64_t{9}}) {
    std::string bytes(16, ' ');
    std::memcpy(bytes.data(), &length, 8);
    EXPECT_THAT(SafetensorsReader::Open(folder.Write("t", bytes)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("claims")));
  }
}

TEST_F(SafetensorsTest, OverlapsAreRefused) {
  ExpectDamaged(absl::StrCat("{", Entry("a", "[2]", 0, 8), ",",
                             Entry("b", "[2]", 4, 12), "}"),
                12, "tensor b: overlaps tensor a");
  ExpectDamaged(absl::StrCat("{", Entry("a", "[2]", 0, 8), ",",
                             Entry("b", "[2]", 0, 8), "}"),
                8, "overlaps");
}

TEST_F(SafetensorsTest, HolesAreRefused) {
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1]", 0, 4), ",",
                             Entry("b", "[1]", 8, 12), "}"),
                12, "tensor b: a hole lies between it and tensor a");
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1]", 4, 8), "}"), 8,
                "a hole lies between it and the first byte");
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1]", 0, 4), "}"), 5, "has 5");
}

TEST_F(SafetensorsTest, NamesThatComeTwiceAreRefused) {
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1]", 0, 4), ",",
                             Entry("a", "[1]", 4, 8), "}"),
                8, "two tensors are called a");
  ExpectDamaged(R"({"__metadata__":{"k":"v","k":"w"}})", 0, "twice");
  ExpectDamaged(R"({"__metadata__":{},"__metadata__":{}})", 0, "two entries");
}

TEST_F(SafetensorsTest, ShapesThatDoNotFitTheirBytesAreRefused) {
  ExpectDamaged(absl::StrCat("{", Entry("a", "[3]", 0, 8), "}"), 8,
                "tensor a: its 8 bytes");
  ExpectDamaged(absl::StrCat("{", Entry("a", "[-1]", 0, 4), "}"), 4, "shape");
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1.0]", 0, 4), "}"), 4, "shape");
  ExpectDamaged(absl::StrCat("{", Entry("a", "{}", 0, 4), "}"), 4, "shape");
}

TEST_F(SafetensorsTest, ShapesThatOverflowAreRefused) {
  // 2^32 x 2^32 is 0 modulo 2^64: must not pass as an empty tensor.
  ExpectDamaged(
      absl::StrCat("{", Entry("a", "[4294967296,4294967296]", 0, 0), "}"), 0,
      "tensor a");
  ExpectDamaged(
      absl::StrCat("{", Entry("a", "[9223372036854775807]", 0, 0), "}"), 0,
      "tensor a");
}

TEST_F(SafetensorsTest, OffsetsThatAreNoRangeAreRefused) {
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1]", 8, 4), "}"), 8, "offsets");
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1]", -4, 0), "}"), 8, "offsets");
  ExpectDamaged(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})",
                8, "offsets");
  ExpectDamaged(absl::StrCat("{", Entry("a", "[1]", 0, 400), "}"), 4, "bytes");
}

TEST_F(SafetensorsTest, EntriesThatAreNoTensorsAreRefused) {
  ExpectDamaged(R"({"a":3})", 0, "tensor a");
  ExpectDamaged(R"({"a":{}})", 0, "tensor a");
  ExpectDamaged(
      R"({"a":{"dtype":"I8","dtype":"I8","shape":[0],"data_offsets":[0,0]}})",
      0, "tensor a");
  ExpectDamaged(R"({"__metadata__":{"k":1}})", 0, "__metadata__");
  ExpectDamaged(R"({"__metadata__":"k"})", 0, "__metadata__");
}

TEST_F(SafetensorsTest, HeadersThatAreNoObjectsAreRefused) {
  for (const char* header : {"", "[]", "{", "null", " {}", "{}x", "\xff"}) {
    ExpectDamaged(header, 0, "header");
  }
  ExpectDamaged(std::string(20'000, '{'), 0, "header");
  ExpectDamaged("{\"a\":" + std::string(20'000, '['), 0, "header");
}

TEST_F(SafetensorsTest, TypesWeDoNotKnowAreUnimplementedNotDamaged) {
  EXPECT_THAT(
      Try(absl::StrCat("{", Entry("a", "[1]", 0, 1, "F8_E4M3"), "}"), 1),
      StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("F8_E4M3")));
}

TEST_F(SafetensorsTest, AMissingFileIsNotFound) {
  EXPECT_THAT(SafetensorsReader::Open(folder.At("no")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no")));
}

// Whatever opens has all tensors inside the file and of their sizes.
TEST_F(SafetensorsTest, MutationsOpenSoundOrNotAtAll) {
  const std::string good =
      FileOf(absl::StrCat("{", Entry("a", "[2,3]", 0, 24), ",",
                          Entry("b", "[1]", 24, 32, "I64"), ",",
                          R"("__metadata__":{"format":"pt"}})"),
             32);
  testing::Mutations mutations(20261128);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto reader =
        SafetensorsReader::Open(folder.Write("t", mutations.Of(good)));
    refused += !reader.ok();
    if (!reader.ok()) continue;
    for (const TensorInfo& info : (*reader)->tensors()) {
      EXPECT_EQ((*reader)->Bytes(info).size(),
                info.ElementCount() * SizeOf(info.dtype))
          << i;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 2990);
}

}  // namespace
}  // namespace lory::io
