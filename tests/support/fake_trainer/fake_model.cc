#include "tests/support/fake_trainer/fake_model.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/base/status_macros.h"
#include "common/data/sample_digest.h"
#include "common/data/sequence_order.h"
#include "common/io/safetensors.h"
#include "common/io/storage.h"

namespace lory::testing {

using ::lory::v1::Assignment;

FakeState FakeState::FromSeed() {
  return {.step = 0, .digest = data::InitialDigest()};
}

std::string FakeState::Digest() const { return Sha256Bytes(Serialize()); }

std::string FakeState::Serialize() const {
  return absl::StrCat(step, " ", absl::BytesToHexString(digest));
}

absl::StatusOr<FakeState> FakeState::Parse(const std::string& text) {
  const std::pair<std::string, std::string> words = absl::StrSplit(text, ' ');
  FakeState state;
  if (!absl::SimpleAtoi(words.first, &state.step) ||
      words.second.size() != 64) {
    return absl::DataLossError("not a fake state");
  }
  state.digest = absl::HexStringToBytes(words.second);
  return state;
}

uint64_t FingerprintSum(const lory::v1::JobSpec& spec, int64_t sequence_count,
                        int64_t step, int rank, const lory::v1::Round& round) {
  int64_t first = 0;
  for (int i = 0; i < rank; ++i) first += round.shares(i);
  const int64_t sequences = spec.micro_batch_sequences();
  const int64_t batch = spec.micro_batch_count() * sequences;
  uint64_t sum = 0;
  for (int64_t offset = first * sequences;
       offset < (first + round.shares(rank)) * sequences; ++offset) {
    const data::SequencePosition position =
        data::PositionOf(step * batch + offset, sequence_count);
    const data::SequenceOrder order(static_cast<uint64_t>(spec.seed()),
                                    position.epoch, sequence_count);
    sum += data::SampleFingerprint(position.epoch, order.At(position.position));
  }
  return sum;
}

absl::StatusOr<lory::v1::CommitCheckpointRequest> WritePart(
    const FakeState& state, const Assignment& assignment) {
  lory::v1::CommitCheckpointRequest request;
  request.set_job(assignment.job());
  request.set_step(state.step);
  request.set_generation(assignment.generation());
  request.set_sample_digest(state.digest);
  request.set_folder(
      absl::StrCat("step-", state.step, ".gen-", assignment.generation()));
  lory::v1::CheckpointPart& part = *request.mutable_part();
  part.set_index(assignment.rank());
  part.set_count(assignment.world_size());
  part.set_file(absl::StrCat("part-", part.index(), "-of-", part.count(),
                             ".safetensors"));
  const std::string path =
      absl::StrCat(assignment.job_folder(), "/checkpoints/", request.folder(),
                   "/", part.file());
  const int64_t number = state.step;
  const io::TensorToWrite tensor = {
      .info = {.name = absl::StrCat("fake.", part.index()),
               .dtype = io::DType::kI64,
               .shape = {1}},
      .data = &number};
  LORY_ASSIGN_OR_RETURN(
      std::string sha256,
      io::WriteSafetensors(
          io::LocalStorage(), path, {&tensor, 1},
          {{"step", absl::StrCat(state.step)},
           {"generation", absl::StrCat(assignment.generation())},
           {"digest", absl::BytesToHexString(state.digest)}}));
  LORY_ASSIGN_OR_RETURN(const int64_t size, io::LocalStorage().Size(path));
  part.set_size_bytes(size);
  part.set_sha256(std::move(sha256));
  return request;
}

absl::StatusOr<FakeState> Restore(const Assignment& assignment) {
  const lory::v1::Checkpoint& checkpoint = assignment.checkpoint();
  if (checkpoint.parts().empty()) return FakeState::FromSeed();
  const std::string folder =
      absl::StartsWith(checkpoint.folder(), "/")
          ? checkpoint.folder()
          : absl::StrCat(assignment.job_folder(), "/checkpoints/",
                         checkpoint.folder());
  const lory::v1::CheckpointPart& part = checkpoint.parts(0);
  const std::string path = absl::StrCat(folder, "/", part.file());
  LORY_ASSIGN_OR_RETURN(const std::string sha256, io::FileSha256Hex(path));
  if (sha256 != part.sha256()) {
    return absl::DataLossError(absl::StrCat(path, " is not as committed"));
  }
  LORY_ASSIGN_OR_RETURN(const auto reader, io::SafetensorsReader::Open(path));
  const auto& metadata = reader->metadata();
  return FakeState::Parse(
      absl::StrCat(metadata.at("step"), " ", metadata.at("digest")));
}

}  // namespace lory::testing
