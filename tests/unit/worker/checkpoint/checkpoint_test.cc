#include <ATen/Functions.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "common/base/status_macros.h"
#include "gmock/gmock.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_folder.h"
#include "worker/checkpoint/checkpoint_reader.h"
#include "worker/checkpoint/checkpoint_writer.h"
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

TEST(AssignParts, GoesByNameAndBytes) {
  const TensorSize tensors[] = {{"d", 10}, {"a", 10}, {"c", 10}, {"b", 10}};
  EXPECT_THAT(AssignParts(tensors, 2), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(AssignParts(tensors, 1), ElementsAre(0, 0, 0, 0));
  const TensorSize uneven[] = {{"a", 1}, {"b", 100}, {"c", 100}};
  EXPECT_THAT(AssignParts(uneven, 2), ElementsAre(0, 0, 1));
}

TEST(AssignParts, MorePartsThanTensorsLeaveSomeEmpty) {
  const TensorSize tensors[] = {{"a", 4}, {"b", 4}};
  for (const int part : AssignParts(tensors, 5)) {
    EXPECT_GE(part, 0);
    EXPECT_LT(part, 5);
  }
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

}  // namespace
}  // namespace lory::checkpoint
