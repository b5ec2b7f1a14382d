#include "tests/unit/worker/train/fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/data/dataset_manifest.h"
#include "common/data/sample_digest.h"
#include "common/data/shard_file.h"
#include "gtest/gtest.h"
#include "worker/collective/ring_transport.h"

namespace lory::train {
namespace {

using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

constexpr int64_t kVocabulary = 64;
constexpr int64_t kSequences = 50;
// Far more than anything here takes, on a machine that is busy with others.
constexpr absl::Duration kPatience = absl::Seconds(60);

lory::data::ShardEntry WriteShard(const std::string& prefix, int64_t count) {
  auto writer = lory::data::ShardWriter::Create(prefix, 65, kVocabulary);
  LORY_CHECK(writer.ok());
  Random random(static_cast<uint64_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int32_t> tokens(65);
    auto token = static_cast<int32_t>(random.Below(kVocabulary));
    for (int32_t& place : tokens) {
      place = token;
      token = (token + 1) % kVocabulary;
    }
    LORY_CHECK((*writer)->Append(tokens).ok());
  }
  return *(*writer)->Finish();
}

TrainerStatus FirstStatus(int slot) {
  TrainerStatus status;
  status.set_job("jobs/tiny");
  status.set_slot(slot);
  status.set_phase(TrainerStatus::STARTING);
  status.set_applied_step(-1);
  return status;
}

}  // namespace

lory::v1::JobSpec TinySpec(int64_t step_count) {
  lory::v1::JobSpec spec;
  spec.set_dataset("datasets/counting");
  spec.mutable_model()->set_vocabulary_size(kVocabulary);
  spec.mutable_model()->set_layer_count(2);
  spec.mutable_model()->set_width(32);
  spec.mutable_model()->set_head_count(2);
  spec.mutable_model()->set_sequence_length(64);
  auto& lory = *spec.mutable_model()->mutable_feed_forward()->mutable_lory();
  lory.set_expert_count(4);
  lory.set_segment_length(16);
  lory.set_dense_fraction(-1);
  spec.mutable_optimizer()->set_peak_learning_rate(0.01);
  spec.set_step_count(step_count);
  spec.set_micro_batch_count(4);
  spec.set_micro_batch_sequences(2);
  spec.set_seed(7);
  return spec;
}

std::string WriteCountingDataset(const std::string& folder, int64_t sequences) {
  lory::data::DatasetManifest manifest;
  manifest.name = "counting";
  manifest.order = "random";
  manifest.sequence_length = 64;
  manifest.vocabulary_size = kVocabulary;
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_sha256 = std::string(64, '0');
  manifest.document_count = sequences;
  manifest.token_count = sequences * 65;
  manifest.shards.push_back(WriteShard(folder + "/train", sequences));
  manifest.held_out.push_back({"early", WriteShard(folder + "/early", 5)});
  manifest.held_out.push_back({"late", WriteShard(folder + "/late", 3)});
  const std::string path = folder + "/manifest.json";
  LORY_CHECK(lory::io::LocalStorage()
                 .Write(path, SerializeDatasetManifest(manifest))
                 .ok());
  return path;
}

Member::Member(int slot, lory::collective::Transport& transport,
               lory::io::Storage& storage, int64_t check_first_bytes)
    : board(FirstStatus(slot)),
      trainer(absl::StrCat("w-", slot), board, transport, storage, RealClock(),
              check_first_bytes),
      thread([this] { result = trainer.Run(); }) {}

Member::~Member() { board.Close(); }

TrainerStatus Member::Await(
    const std::function<bool(const TrainerStatus&)>& done) {
  const absl::Time limit = RealClock().MonotonicNow() + kPatience;
  int64_t seen = 0, parts_seen = 0;
  for (;;) {
    const TrainerStatus status =
        board.AwaitReport(&seen, &parts_seen, absl::Seconds(1)).status();
    if (done(status)) return status;
    if (RealClock().MonotonicNow() > limit) {
      ADD_FAILURE() << "still waiting at " << status.ShortDebugString();
      return status;
    }
  }
}

TrainerStatus Member::AwaitPhase(TrainerStatus::Phase phase) {
  return Await([&](const TrainerStatus& s) { return s.phase() == phase; });
}

TrainerStatus Member::AwaitStep(int64_t step) {
  return Await(
      [&](const TrainerStatus& s) { return s.applied_step() >= step; });
}

Fleet::Fleet(lory::v1::JobSpec spec, lory::io::Storage& storage)
    : spec_(std::move(spec)),
      storage_(storage),
      ring_(std::make_unique<lory::collective::RingTransport>("127.0.0.1")) {
  WriteCountingDataset(folder_.path(), kSequences);
}

Member& Fleet::Add(lory::collective::Transport* transport,
                   int64_t check_first_bytes) {
  all_.push_back(std::make_unique<Member>(
      static_cast<int>(all_.size()), transport != nullptr ? *transport : *ring_,
      storage_, check_first_bytes));
  Assignment assignment;
  assignment.set_job("jobs/tiny");
  assignment.set_slot(static_cast<int32_t>(all_.size()) - 1);
  *assignment.mutable_spec() = spec_;
  assignment.set_dataset_manifest_path(folder_.At("manifest.json"));
  assignment.set_job_folder(folder_.At("job"));
  assignment.set_phase(Assignment::STANDBY);
  if (initial_) *assignment.mutable_initial_checkpoint() = *initial_;
  Post(*all_.back(), assignment);
  return *all_.back();
}

void Fleet::Post(Member& member, const Assignment& assignment) {
  member.assignment = assignment;
  lory::internal::v1::TrainerOrder order;
  *order.mutable_assignment() = assignment;
  member.board.Post(std::move(order));
}

void Fleet::Prepare(const std::vector<Member*>& members, bool urgent) {
  ++generation_;
  members_ = members;
  for (size_t rank = 0; rank < members.size(); ++rank) {
    Assignment assignment = members[rank]->assignment;
    assignment.set_phase(Assignment::PREPARE);
    assignment.set_generation(generation_);
    assignment.set_rank(static_cast<int32_t>(rank));
    assignment.set_world_size(static_cast<int32_t>(members.size()));
    assignment.set_urgent(urgent);
    assignment.clear_round();
    Post(*members[rank], assignment);
  }
  for (Member* member : members) {
    member->Await([&](const TrainerStatus& status) {
      return status.phase() == TrainerStatus::PREPARED &&
             status.generation() == generation_;
    });
  }
}

void Fleet::Start(const std::vector<Member*>& members, int64_t round_steps,
                  bool urgent, const lory::v1::Checkpoint* checkpoint) {
  Prepare(members, urgent);
  int64_t start_step = -1;
  int32_t source = -1;
  std::vector<TrainerStatus> statuses;
  for (Member* member : members) {
    statuses.push_back(member->AwaitPhase(TrainerStatus::PREPARED));
    if (statuses.back().applied_step() > start_step) {
      start_step = statuses.back().applied_step();
      source = static_cast<int32_t>(statuses.size()) - 1;
    }
  }
  if (source < 0) start_step = checkpoint != nullptr ? checkpoint->step() : 0;
  for (Member* member : members) {
    Assignment assignment = member->assignment;
    assignment.set_phase(Assignment::RUN);
    assignment.clear_peer_endpoints();
    for (const TrainerStatus& status : statuses) {
      assignment.add_peer_endpoints(status.listen_endpoint());
    }
    assignment.set_collective_token("token");
    assignment.set_start_step(start_step);
    assignment.set_source_rank(source);
    if (checkpoint != nullptr) *assignment.mutable_checkpoint() = *checkpoint;
    if (round_steps > 0) {
      *assignment.mutable_round() = MakeRound(1, start_step, round_steps);
    }
    Post(*member, assignment);
  }
}

void Fleet::Order(const std::function<void(Assignment&)>& change) {
  for (Member* member : members_) {
    Assignment assignment = member->assignment;
    change(assignment);
    Post(*member, assignment);
  }
}

void Fleet::GrantRound(int64_t id, int64_t first_step, int64_t step_count) {
  Order([&](Assignment& assignment) {
    *assignment.mutable_round() = MakeRound(id, first_step, step_count);
  });
}

lory::v1::Round Fleet::MakeRound(int64_t id, int64_t first,
                                 int64_t count) const {
  lory::v1::Round round;
  round.set_id(id);
  round.set_first_step(first);
  round.set_step_count(count);
  // Uneven where it can be: ranks need not do the same amount of work.
  const auto world = static_cast<int32_t>(members_.size());
  for (int32_t rank = 0; rank < world; ++rank) {
    round.add_shares(
        rank + 1 < world ? 1 : spec_.micro_batch_count() - (world - 1));
  }
  return round;
}

lory::v1::Checkpoint Fleet::CheckpointAt(int64_t step, int part_count) {
  lory::v1::Checkpoint checkpoint;
  checkpoint.set_name(absl::StrCat("jobs/tiny/checkpoints/", step));
  checkpoint.set_step(step);
  const absl::Time limit = RealClock().MonotonicNow() + kPatience;
  while (checkpoint.parts_size() < part_count &&
         RealClock().MonotonicNow() < limit) {
    checkpoint.clear_parts();
    for (const auto& member : all_) {
      int64_t seen = 0, parts_seen = 0;
      const auto report =
          member->board.AwaitReport(&seen, &parts_seen, absl::Milliseconds(1));
      for (const auto& written : report.written_parts()) {
        if (written.step() != step || written.part().count() != part_count) {
          continue;
        }
        *checkpoint.add_parts() = written.part();
        checkpoint.set_folder(written.folder());
        checkpoint.set_generation(written.generation());
        checkpoint.set_sample_digest(written.sample_digest());
      }
    }
  }
  EXPECT_EQ(checkpoint.parts_size(), part_count);
  return checkpoint;
}

std::string Fleet::FaultlessChain(int64_t steps) const {
  std::string chain = lory::data::InitialDigest();
  for (int64_t step = 0; step < steps; ++step) {
    chain = lory::data::NextDigest(
        chain, step,
        lory::data::ExpectedFingerprintSum(
            static_cast<uint64_t>(spec_.seed()), kSequences, step,
            spec_.micro_batch_count() * spec_.micro_batch_sequences()));
  }
  return chain;
}

}  // namespace lory::train
