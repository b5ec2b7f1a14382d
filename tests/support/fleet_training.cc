// How the fleet's trainers train: the half of Fleet that is the trainers'.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/error_detail.h"
#include "common/base/hash.h"
#include "common/data/sample_digest.h"
#include "common/data/sequence_order.h"
#include "coordinator/state/names.h"
#include "tests/support/fleet.h"

namespace lory::testing {

using ::lory::v1::Assignment;
using ::lory::v1::TrainerStatus;

bool IsTraining(const FleetTrainer& trainer) {
  return trainer.running > 0 && (trainer.phase == TrainerStatus::TRAINING ||
                                 trainer.phase == TrainerStatus::WAITING);
}

void Fleet::MoveTrainers() {
  std::map<std::pair<std::string, int64_t>, std::vector<Member>> groups;
  for (auto& [name, daemon] : daemons_) {
    for (auto& [slot, trainer] : daemon.trainers) {
      if (!IsTraining(trainer)) continue;
      groups[{trainer.order.job(), trainer.running}].push_back(
          {&daemon, &trainer, slot});
    }
  }
  for (auto& [key, members] : groups) MoveGeneration(members);
}

void Fleet::Break(std::vector<Member>& members, int lost_rank) {
  for (Member& member : members) {
    if (!IsTraining(*member.trainer)) continue;
    member.trainer->phase = TrainerStatus::BROKEN;
    member.trainer->failed_rank = lost_rank;
    member.trainer->running = 0;
    if (!member.trainer->connected) continue;
    // A step that failed never happened here.
    member.trainer->connected = false;
  }
}

void Fleet::MoveGeneration(std::vector<Member>& members) {
  // The order that made it run; a newer PREPARE may have come since.
  const Assignment* run = nullptr;
  for (const Member& member : members) {
    const Assignment& order = member.trainer->order;
    if (order.phase() == Assignment::RUN &&
        order.generation() == member.trainer->running) {
      run = &order;
    }
  }
  // Who is not here any more, by rank.
  std::vector<Member> by_rank;
  if (run != nullptr) {
    for (int rank = 0; rank < run->peer_endpoints_size(); ++rank) {
      const std::vector<std::string> parts =
          absl::StrSplit(run->peer_endpoints(rank), '/');
      FleetDaemon& daemon = daemons_[parts[0]];
      const int32_t slot = std::stoi(parts[1]);
      const auto found = daemon.trainers.find(slot);
      const bool gone = found == daemon.trainers.end() ||
                        found->second.incarnation != parts[2] ||
                        found->second.generation > run->generation() ||
                        found->second.phase == TrainerStatus::BROKEN;
      if (gone) {
        Break(members, rank);
        return;
      }
      by_rank.push_back({&daemon, &found->second, slot});
    }
  } else {
    by_rank = members;  // all were told to prepare: control words still work
  }
  for (const Member& member : by_rank) {
    if (!IsTraining(*member.trainer) ||
        member.trainer->running != members[0].trainer->running) {
      return;  // it has not been told to run yet
    }
  }
  if (run != nullptr && !members[0].trainer->connected) Connect(by_rank);
  for (const Member& member : by_rank) {
    if (!member.trainer->connected) return;
  }
  // An evaluation is between steps: who is done with his share waits.
  int busy = 0;
  for (const Member& member : by_rank) {
    if (member.trainer->busy_moves == 0) continue;
    busy = std::max(busy, member.trainer->busy_moves--);
    ++member.trainer->progress;
  }
  if (busy > 0) return;
  if (Agree(by_rank) && run != nullptr) Step(by_rank);
}

void Fleet::Connect(std::vector<Member>& members) {
  const Assignment& order = members[0].trainer->order;
  FleetState start;
  if (order.source_rank() >= 0) {
    start = members[static_cast<size_t>(order.source_rank())].trainer->state;
  } else if (order.has_checkpoint()) {
    const auto bytes = storage_.Read(absl::StrCat(
        order.checkpoint().folder(), "/", order.checkpoint().parts(0).file()));
    if (!bytes.ok()) {  // deleted with its job, which nobody told them
      Break(members, -1);
      return;
    }
    start.applied_step = order.checkpoint().step();
    start.chain = bytes->substr(bytes->find('\n') + 1);
  } else {
    start.applied_step = 0;
    start.chain = data::InitialDigest();
  }
  LORY_CHECK(start.applied_step == order.start_step());
  for (Member& member : members) {
    member.trainer->state = start;
    member.trainer->connected = true;
  }
}

bool Fleet::Agree(std::vector<Member>& members) {
  bool leave = false, stop = false;
  int64_t order = 0;
  for (const Member& member : members) {
    const FleetTrainer& trainer = *member.trainer;
    leave |= trainer.left || (trainer.order.phase() == Assignment::PREPARE &&
                              trainer.order.generation() > trainer.running);
    stop |= trainer.order.stop() == Assignment::AFTER_CHECKPOINT;
    order = std::max(
        {order, trainer.order.checkpoint_order(), trainer.checkpoint_order});
  }
  const int64_t steps = members[0].trainer->order.spec().step_count();
  const bool finished = members[0].trainer->state.applied_step >= steps;
  const bool evaluates =
      members[0].trainer->order.spec().kind() == lory::v1::JobSpec::EVALUATE;
  bool written = true;
  for (Member& member : members) {
    FleetTrainer& trainer = *member.trainer;
    if (leave) {
      trainer.left = true;
      if (trainer.order.phase() == Assignment::PREPARE &&
          trainer.order.generation() > trainer.running) {
        AnswerPrepare(trainer);
      } else {
        trainer.phase = TrainerStatus::WAITING;
      }
      continue;
    }
    if (!evaluates && (order > trainer.checkpoint_order || stop || finished)) {
      trainer.checkpoint_order = std::max(order, trainer.checkpoint_order);
      written &= WritePart(member);
    }
  }
  // Nobody ends before its part is on storage; the next move tries again.
  for (Member& member : members) {
    if (leave || !written || !(stop || finished)) break;
    member.trainer->phase =
        finished ? TrainerStatus::FINISHED : TrainerStatus::STOPPED;
    member.trainer->running = 0;
  }
  return !leave && !stop && !finished;
}

bool Fleet::WritePart(Member& member) {
  FleetTrainer& trainer = *member.trainer;
  const std::pair<int64_t, int64_t> key = {trainer.generation,
                                           trainer.state.applied_step};
  if (trainer.written == key) return true;
  const Assignment& order = trainer.order;
  lory::v1::CommitCheckpointRequest request;
  request.set_job(order.job());
  request.set_step(trainer.state.applied_step);
  request.set_generation(trainer.generation);
  request.set_sample_digest(trainer.state.chain);
  request.set_folder(coordinator::CheckpointFolder(trainer.state.applied_step,
                                                   trainer.generation));
  const std::string bytes =
      absl::StrCat("rank ", order.rank(), "\n", trainer.state.chain);
  auto* part = request.mutable_part();
  part->set_index(order.rank());
  part->set_count(order.world_size());
  part->set_file(coordinator::PartFile(order.rank(), order.world_size()));
  part->set_size_bytes(static_cast<int64_t>(bytes.size()));
  part->set_sha256(Sha256Hex(bytes));
  const absl::Status written =
      storage_.Write(absl::StrCat(order.job_folder(), "/checkpoints/",
                                  request.folder(), "/", part->file()),
                     bytes);
  if (!written.ok()) {
    trainer.failed_checkpoint.emplace();
    trainer.failed_checkpoint->set_step(request.step());
    trainer.failed_checkpoint->set_generation(request.generation());
    trainer.failed_checkpoint->set_error(std::string(written.message()));
    return false;
  }
  trainer.written = key;
  member.daemon->parts.push_back(std::move(request));
  return true;
}

std::string Fleet::Extend(const lory::v1::JobSpec& spec,
                          const std::string& chain, int64_t step,
                          const std::vector<int>& shares) const {
  // What each rank really would have read: its micro-batches, as its round
  // says.
  uint64_t sum = 0;
  const int64_t batch =
      int64_t{spec.micro_batch_count()} * spec.micro_batch_sequences();
  int64_t offset = 0;
  for (const int share : shares) {
    const int64_t end = offset + int64_t{share} * spec.micro_batch_sequences();
    for (; offset < end; ++offset) {
      const data::SequencePosition place =
          data::PositionOf(step * batch + offset, options_.sequence_count);
      const data::SequenceOrder order(static_cast<uint64_t>(spec.seed()),
                                      place.epoch, options_.sequence_count);
      sum += data::SampleFingerprint(place.epoch, order.At(place.position));
    }
  }
  return data::NextDigest(chain, step, sum);
}

void Fleet::Step(std::vector<Member>& members) {
  // A round starts when all hold it; each rank goes by what it holds itself.
  int64_t newest = INT64_MAX;
  for (const Member& member : members) {
    newest = std::min(newest, member.trainer->order.round().id());
  }
  const int64_t at = members[0].trainer->state.applied_step;
  std::vector<int> shares;
  for (size_t rank = 0; rank < members.size(); ++rank) {
    FleetTrainer& trainer = *members[rank].trainer;
    const lory::v1::Round& held = trainer.order.round();
    const bool is_over =
        trainer.round.id() == 0 ||
        at >= trainer.round.first_step() + trainer.round.step_count();
    if (is_over && held.id() == newest && held.id() > trainer.round.id() &&
        held.first_step() == at) {
      trainer.round = held;
    }
    const bool covers =
        trainer.round.id() > 0 && at >= trainer.round.first_step() &&
        at < trainer.round.first_step() + trainer.round.step_count();
    trainer.phase = covers ? TrainerStatus::TRAINING : TrainerStatus::WAITING;
    if (covers) shares.push_back(trainer.round.shares(static_cast<int>(rank)));
  }
  if (shares.size() != members.size()) return;

  const std::string job = members[0].trainer->order.job();
  const lory::v1::JobSpec spec = members[0].trainer->order.spec();
  const auto fault = step_faults_.extract(job);
  const std::string chain =
      Extend(spec, members[0].trainer->state.chain, at, shares);
  for (size_t rank = 0; rank < members.size(); ++rank) {
    FleetTrainer& trainer = *members[rank].trainer;
    if (!fault.empty() && fault.mapped().count(static_cast<int>(rank)) == 0) {
      trainer.phase = TrainerStatus::BROKEN;
      trainer.failed_rank = -1;
      trainer.running = 0;
      trainer.connected = false;
      continue;
    }
    trainer.state = {at + 1, chain};
    if (trainer.generation > deleted_up_to_[job]) {
      traces_[job].insert({at, {trainer.generation, chain, shares}});
    }
    const int64_t every = spec.checkpoint().every_steps();
    if (every > 0 && (at + 1) % every == 0) WritePart(members[rank]);
  }
}

}  // namespace lory::testing
