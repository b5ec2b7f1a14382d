#include <ATen/Functions.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "common/data/tensor_rows.h"
#include "common/io/safetensors.h"
#include "gmock/gmock.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "worker/checkpoint/checkpoint_reader.h"
#include "worker/checkpoint/checkpoint_writer.h"
#include "worker/checkpoint/committed_folder.h"
#include "worker/checkpoint/part_plan.h"

namespace lory::checkpoint {
namespace {

using ::lory::model::NamedTensors;
using ::lory::testing::FaultyStorage;
using ::lory::v1::Checkpoint;
using ::lory::v1::CommitCheckpointRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

// "name" and part, and rows if not all.
std::vector<std::string> PartsOf(std::span<const TensorSize> tensors,
                                 int count) {
  std::vector<std::string> parts;
  for (const Piece& piece : AssignParts(tensors, count)) {
    const TensorSize& tensor = tensors[piece.tensor];
    const std::string name = absl::StrCat(tensor.name, piece.part);
    const bool whole = piece.end_row - piece.first_row == tensor.rows;
    parts.push_back(
        whole ? name
              : lory::data::RowsName({name, piece.first_row, piece.end_row}));
  }
  return parts;
}

TEST(AssignParts, GoesByNameAndBytes) {
  const TensorSize tensors[] = {{"d", 10}, {"a", 10}, {"c", 10}, {"b", 10}};
  EXPECT_THAT(PartsOf(tensors, 2), ElementsAre("a0", "b0", "c1", "d1"));
  EXPECT_THAT(PartsOf(tensors, 1), ElementsAre("a0", "b0", "c0", "d0"));
  const TensorSize uneven[] = {{"a", 1}, {"b", 100}, {"c", 100}};
  EXPECT_THAT(PartsOf(uneven, 2), ElementsAre("a0", "b0", "c1"));
}

TEST(AssignParts, OnlyWhatFitsIntoNoPartIsCutBetweenRows) {
  const TensorSize tensors[] = {
      {"a", 10, 10}, {"experts", 70, 7}, {"one row", 30, 1}, {"z", 10, 10}};
  // A share is 30 bytes: three rows of the experts.
  EXPECT_THAT(PartsOf(tensors, 4),
              ElementsAre("a0", "experts0[0:2]", "experts1[2:5]",
                          "experts2[5:7]", "one row3", "z3"));
  // Nothing is larger than half of all but the experts.
  EXPECT_THAT(
      PartsOf(tensors, 2),
      ElementsAre("a0", "experts0[0:5]", "experts1[5:7]", "one row1", "z1"));
}

TEST(AssignParts, NoPartHasMoreThanTwoShares) {
  const TensorSize tensors[] = {
      {"embedding", 4000, 400}, {"experts", 8000, 80}, {"norm", 16, 16}};
  for (const int count : {1, 2, 3, 5, 8, 16}) {
    std::vector<int64_t> bytes(count);
    for (const Piece& piece : AssignParts(tensors, count)) {
      const TensorSize& tensor = tensors[piece.tensor];
      bytes[piece.part] +=
          tensor.bytes / tensor.rows * (piece.end_row - piece.first_row);
    }
    EXPECT_EQ(std::accumulate(bytes.begin(), bytes.end(), int64_t{0}), 12016);
    EXPECT_LE(*std::max_element(bytes.begin(), bytes.end()), 2 * 12016 / count)
        << count;
  }
}

TEST(AssignParts, MorePartsThanTensorsLeaveSomeEmpty) {
  const TensorSize tensors[] = {{"a", 4}, {"b", 4}};
  EXPECT_THAT(PartsOf(tensors, 5), ElementsAre("a1", "b3"));
}

NamedTensors MakeTensors(float seed) {
  NamedTensors tensors;
  for (const char* name : {"param/a", "param/b", "adam_m/a", "adam_v/a"}) {
    tensors.emplace_back(name, at::full({7, 5}, seed += 1));
  }
  tensors.emplace_back("adam_step", at::full({1}, 42, at::kLong));
  return tensors;
}

struct CheckpointTest : ::testing::Test {
  // Writes all parts as `world` ranks do.
  Checkpoint Write(int world, const NamedTensors& tensors) {
    Checkpoint checkpoint;
    for (int rank = 0; rank < world; ++rank) {
      const auto part = WriteOne(rank, world, tensors);
      EXPECT_OK(part);
      *checkpoint.add_parts() = part->part();
      checkpoint.set_folder(part->folder());
    }
    return checkpoint;
  }

  absl::StatusOr<CommitCheckpointRequest> WriteOne(
      int rank, int world, const NamedTensors& tensors) {
    Snapshot snapshot;
    LORY_RETURN_IF_ERROR(snapshot.Take(ShareOf(tensors, rank, world)));
    return WritePart(storage, Identity(rank, world), snapshot);
  }

  PartIdentity Identity(int rank, int world) const {
    return {.job = "jobs/test",
            .job_folder = folder.path(),
            .step = 40,
            .generation = 3,
            .index = rank,
            .count = world,
            .sample_digest = std::string(32, '\x01'),
            .metadata = {{"extra", "words"}}};
  }

  absl::Status Load(const Checkpoint& checkpoint, const NamedTensors& into) {
    LORY_ASSIGN_OR_RETURN(
        const auto reader,
        CheckpointReader::Open(folder.path(), checkpoint, [] {}));
    metadata = reader->metadata();
    return reader->Load(into);
  }

  // Loads tensor `name` from parts that no writer would write.
  absl::Status LoadCrafted(const std::vector<NamedTensors>& parts,
                           const std::string& name,
                           std::vector<int64_t> shape) {
    Checkpoint checkpoint;
    checkpoint.set_folder("crafted");
    for (size_t i = 0; i < parts.size(); ++i) {
      std::vector<lory::io::TensorToWrite> tensors;
      for (const auto& [tensor_name, tensor] : parts[i]) {
        tensors.push_back({.info = {.name = tensor_name,
                                    .dtype = lory::io::DType::kF32,
                                    .shape = tensor.sizes().vec()},
                           .data = tensor.const_data_ptr()});
      }
      auto* part = checkpoint.add_parts();
      part->set_file(absl::StrCat("part-", i, ".safetensors"));
      const std::string path =
          folder.At(absl::StrCat("checkpoints/crafted/", part->file()));
      LORY_ASSIGN_OR_RETURN(*part->mutable_sha256(),
                            lory::io::WriteSafetensors(lory::io::LocalStorage(),
                                                       path, tensors, {}));
      part->set_size_bytes(
          static_cast<int64_t>(std::filesystem::file_size(path)));
    }
    return Load(checkpoint, {{name, at::zeros(shape)}});
  }

  std::string PathOf(const Checkpoint& checkpoint, int part) const {
    return folder.At("checkpoints/" + checkpoint.folder() + "/" +
                     checkpoint.parts(part).file());
  }

  const lory::testing::TemporaryFolder folder;
  FaultyStorage storage{lory::io::LocalStorage()};
  std::map<std::string, std::string> metadata;
};

void ExpectEqual(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(a[i].second.equal(b[i].second)) << a[i].first;
  }
}

TEST_F(CheckpointTest, AnyWorldLoadsWhatAnyWorldWrote) {
  const NamedTensors original = MakeTensors(1);
  NamedTensors state = original;
  for (const int world : {3, 1, 2, 9}) {
    NamedTensors loaded = MakeTensors(100);
    ASSERT_OK(Load(Write(world, state), loaded));
    state = loaded;
  }
  ExpectEqual(state, original);
  EXPECT_EQ(metadata["step"], "40");
  EXPECT_EQ(metadata["generation"], "3");
  EXPECT_EQ(metadata["part_count"], "9");
  EXPECT_EQ(metadata["extra"], "words");
}

// One tensor that is nearly everything.
NamedTensors MakeHugeTensor(float first) {
  NamedTensors tensors = MakeTensors(first);
  tensors.emplace_back("param/experts",
                       at::arange(first, first + 600).view({100, 3, 2}));
  return tensors;
}

TEST_F(CheckpointTest, AHugeTensorIsSpreadOverPartsAndLoadsInAnyWorld) {
  const NamedTensors original = MakeHugeTensor(1);
  NamedTensors state = original;
  for (const int world : {4, 1, 3, 16}) {
    const Checkpoint checkpoint = Write(world, state);
    for (const auto& part : checkpoint.parts()) {
      const auto file = std::filesystem::path(PathOf(checkpoint, part.index()));
      LORY_ASSERT_OK_AND_ASSIGN(const auto reader,
                                lory::io::SafetensorsReader::Open(file));
      int64_t bytes = 0;
      for (const auto& info : reader->tensors()) bytes += info.end - info.begin;
      EXPECT_LE(bytes, 2 * 2968 / world) << part.file();
    }
    NamedTensors loaded = MakeHugeTensor(100);
    ASSERT_OK(Load(checkpoint, loaded));
    state = loaded;
  }
  ExpectEqual(state, original);
}

TEST_F(CheckpointTest, ReadingALargePartIsSeenToGetOn) {
  const NamedTensors tensors = {{"param/a", at::full({1 << 20}, 1.0F)}};
  const Checkpoint checkpoint = Write(1, tensors);
  int progress = 0;
  ASSERT_OK(CheckpointReader::Open(folder.path(), checkpoint, [&] {
              ++progress;
            }).status());
  EXPECT_GE(progress, 4);  // once a MiB, not once a part
}

TEST_F(CheckpointTest, MissingRowsAreDataLoss) {
  Checkpoint checkpoint = Write(4, MakeHugeTensor(1));
  checkpoint.mutable_parts()->DeleteSubrange(2, 1);
  EXPECT_THAT(Load(checkpoint, MakeHugeTensor(2)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("continue row")));
}

TEST_F(CheckpointTest, RowsOfAnotherModelAreRefusedByTensor) {
  const Checkpoint checkpoint = Write(4, MakeHugeTensor(1));
  NamedTensors longer = MakeHugeTensor(1);
  longer.back().second = at::zeros({101, 3, 2});
  EXPECT_THAT(Load(checkpoint, longer),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("tensor param/experts is F32[100,3,2]")));
}

TEST_F(CheckpointTest, ATensorThatIsThereWholeAndInRowsIsDataLoss) {
  const at::Tensor whole = at::full({7, 5}, 1);
  const at::Tensor more = at::full({64, 5}, 2);
  for (const char* rows : {"param/a[7:71]", "param/a[0:64]"}) {
    for (const bool whole_first : {true, false}) {
      std::vector<NamedTensors> parts = {{{"param/a", whole}}, {{rows, more}}};
      if (!whole_first) std::swap(parts[0], parts[1]);
      EXPECT_THAT(LoadCrafted(parts, "param/a", {7, 5}),
                  StatusIs(absl::StatusCode::kDataLoss, HasSubstr("param/a")))
          << rows << whole_first;
    }
  }
  EXPECT_THAT(LoadCrafted({{{"param/a", whole}, {"param/a[7:71]", more}}},
                          "param/a", {7, 5}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("param/a")));
}

TEST_F(CheckpointTest, ATensorThatTwoPartsHaveIsDataLoss) {
  const at::Tensor rows = at::full({7, 5}, 1);
  for (const char* name : {"param/a", "param/a[0:7]"}) {
    EXPECT_THAT(
        LoadCrafted({{{name, rows}}, {{name, rows}}}, "param/a", {7, 5}),
        StatusIs(absl::StatusCode::kDataLoss, HasSubstr("twice")));
  }
}

TEST_F(CheckpointTest, RowsThatAreNotAsManyAsTheirNameSaysAreDataLoss) {
  const at::Tensor rows = at::full({7, 5}, 1);
  for (const char* name :
       {"param/a[0:8]", "param/a[0:6]", "param/a[0:9223372036854775807]"}) {
    EXPECT_THAT(LoadCrafted({{{name, rows}}}, "param/a", {7, 5}),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
  }
  EXPECT_OK(LoadCrafted({{{"param/a[0:7]", rows}}}, "param/a", {7, 5}));
  EXPECT_THAT(LoadCrafted({{{"param/a[0:1]", at::zeros({})}}}, "param/a", {1}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("param/a[0:1]")));
}

// Whatever a crafted header says, no byte goes beside the tensor.
TEST_F(CheckpointTest, PiecesInAnyDisorderNeverLoadMoreThanTheTensor) {
  const char* names[] = {"a", "a[0:1]", "a[0:2]", "a[1:2]", "a[1:3]", "a[2:3]"};
  int loaded = 0;
  for (int chosen = 1; chosen < 1 << std::size(names); ++chosen) {
    NamedTensors pieces;
    for (size_t i = 0; i < std::size(names); ++i) {
      if ((chosen >> i & 1) == 0) continue;
      const auto rows = lory::data::ParseRowsName(names[i]);
      const int64_t count = rows ? rows->end - rows->first : 3;
      pieces.emplace_back(names[i], at::full({count}, 1));
    }
    loaded += LoadCrafted({pieces}, "a", {3}).ok();
  }
  // The whole; 0-2 and 2-3; 0-1 and 1-3; 0-1, 1-2 and 2-3.
  EXPECT_EQ(loaded, 4);
}

TEST_F(CheckpointTest, FilesAreNamedByStepGenerationAndPart) {
  const Checkpoint checkpoint = Write(2, MakeTensors(1));
  EXPECT_EQ(checkpoint.folder(), "step-40.gen-3");
  EXPECT_EQ(checkpoint.parts(1).file(), "part-1-of-2.safetensors");
  EXPECT_EQ(
      checkpoint.parts(1).size_bytes(),
      static_cast<int64_t>(std::filesystem::file_size(PathOf(checkpoint, 1))));
}

TEST_F(CheckpointTest, AnAlteredPartIsRefusedByName) {
  const Checkpoint checkpoint = Write(2, MakeTensors(1));
  std::fstream file(PathOf(checkpoint, 1),
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-3, std::ios::end);
  file.put('x');
  file.close();
  EXPECT_THAT(Load(checkpoint, MakeTensors(2)),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("part-1-of-2.safetensors")));
}

TEST_F(CheckpointTest, ACutOrMissingPartIsRefusedByName) {
  const Checkpoint checkpoint = Write(2, MakeTensors(1));
  std::filesystem::resize_file(PathOf(checkpoint, 0), 100);
  EXPECT_THAT(Load(checkpoint, MakeTensors(2)),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("part-0-of-2.safetensors")));
  std::filesystem::remove(PathOf(checkpoint, 0));
  EXPECT_THAT(Load(checkpoint, MakeTensors(2)),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("part-0-of-2.safetensors")));
}

TEST_F(CheckpointTest, APartOfAnotherSizeThanCommittedIsRefused) {
  Checkpoint checkpoint = Write(2, MakeTensors(1));
  auto& part = *checkpoint.mutable_parts(1);
  part.set_size_bytes(part.size_bytes() + 1);
  EXPECT_THAT(Load(checkpoint, MakeTensors(2)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("bytes")));
}

TEST_F(CheckpointTest, ACheckpointOfAnotherModelIsRefusedByTensor) {
  const Checkpoint checkpoint = Write(1, MakeTensors(1));
  NamedTensors wider = MakeTensors(1);
  wider[1].second = at::zeros({8, 5});
  EXPECT_THAT(Load(checkpoint, wider),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("tensor param/b is F32[7,5], the model's is "
                                 "F32[8,5]")));
  wider[1] = {"param/new", at::zeros({1})};
  EXPECT_THAT(Load(checkpoint, wider),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("tensor param/new")));
}

TEST_F(CheckpointTest, AFullDiskLeavesNothingBehind) {
  storage.LimitBytes(200);
  EXPECT_THAT(WriteOne(0, 1, MakeTensors(1)),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("")));
  EXPECT_FALSE(std::filesystem::exists(
      folder.At("checkpoints/step-40.gen-3/part-0-of-1.safetensors")));
  storage.Heal();
  EXPECT_OK(WriteOne(0, 1, MakeTensors(1)));
}

TEST_F(CheckpointTest, TrainingMayGoOnWhileTheWriterWrites) {
  std::optional<CommitCheckpointRequest> written;
  NamedTensors tensors = MakeTensors(1);
  {
    CheckpointWriter writer(storage,
                            [&](const PartIdentity&, const auto& part) {
                              ASSERT_OK(part);
                              written = *part;
                            });
    ASSERT_OK(writer.Begin(Identity(0, 1), tensors));
    for (auto& [name, tensor] : tensors) tensor.zero_();
    while (!writer.WaitUntilIdle(absl::Seconds(1))) {
    }
    EXPECT_OK(writer.last_result());
  }
  ASSERT_TRUE(written.has_value());
  Checkpoint checkpoint;
  *checkpoint.add_parts() = written->part();
  checkpoint.set_folder(written->folder());
  NamedTensors loaded = MakeTensors(100);
  ASSERT_OK(Load(checkpoint, loaded));
  ExpectEqual(loaded, MakeTensors(1));
}

TEST_F(CheckpointTest, FencedPartsAreDeletedAndNothingElse) {
  const Checkpoint checkpoint = Write(1, MakeTensors(1));
  const std::string other = folder.Write("trace/a-0.jsonl", "proof");
  CheckpointWriter writer(storage, [](const auto&, const auto&) {});
  writer.Delete(folder.path(),
                {other, folder.At("checkpoints/../trace/a-0.jsonl"),
                 PathOf(checkpoint, 0)});
  // Deletions come before the next part.
  ASSERT_OK(writer.Begin(Identity(0, 2), MakeTensors(1)));
  while (!writer.WaitUntilIdle(absl::Seconds(1))) {
  }
  EXPECT_FALSE(std::filesystem::exists(PathOf(checkpoint, 0)));
  EXPECT_TRUE(std::filesystem::exists(other));
}

TEST(CommittedFolder, WhatCannotBeReadKeepsItsReason) {
  const absl::Status explained = ExplainUnreadable(
      ErrorWithReason(absl::StatusCode::kDataLoss, "DAMAGED", "a part differs"),
      "step-1.gen-1");
  EXPECT_THAT(explained,
              StatusIs(absl::StatusCode::kDataLoss,
                       ::testing::AllOf(HasSubstr("step-1.gen-1: a part"),
                                        HasSubstr("copy the folder again"))));
  EXPECT_EQ(ReasonOf(explained), "DAMAGED");
}

}  // namespace
}  // namespace lory::checkpoint
