#include "worker/train/state_sync.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace lory::train {
namespace {

// What a rank holds, as it tells the others.
struct Header {
  int64_t step = -1;  // -1: nothing
  int64_t optimizer_steps = 0;
  int64_t nonfinite_in_row = 0;
  int64_t nonfinite_count = 0;
  std::array<char, 8> digest = {};
  std::array<char, 32> chain = {};
};

Header HeaderOf(const std::optional<TrainingState>& state) {
  Header header;
  if (!state.has_value()) return header;
  header.step = state->step;
  header.optimizer_steps = state->optimizer->step_count();
  header.nonfinite_in_row = state->nonfinite_in_row;
  header.nonfinite_count = state->nonfinite_count;
  std::memcpy(header.digest.data(), DigestOf(*state).data(), 8);
  std::memcpy(header.chain.data(), state->chain.data(), 32);
  return header;
}

std::span<std::byte> BytesOf(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()};
}

}  // namespace

absl::Status SyncState(lory::collective::Communicator& communicator, int source,
                       const lory::v1::JobSpec& spec,
                       std::optional<TrainingState>& state) {
  const Header mine = HeaderOf(state);
  LORY_ASSIGN_OR_RETURN(
      const std::vector<std::string> gathered,
      communicator.AllGather(
          {reinterpret_cast<const char*>(&mine), sizeof(mine)}));
  std::vector<Header> headers(gathered.size());
  for (size_t rank = 0; rank < gathered.size(); ++rank) {
    if (gathered[rank].size() != sizeof(Header)) {
      return absl::InternalError("a rank describes its state in another way");
    }
    std::memcpy(&headers[rank], gathered[rank].data(), sizeof(Header));
  }
  const Header& wanted = headers[source];
  if (wanted.step < 0) {
    return absl::UnavailableError(
        absl::StrCat("rank ", source, " holds no state to send"));
  }
  const auto has_it = [&](const Header& header) {
    return header.step == wanted.step && header.digest == wanted.digest;
  };
  if (std::all_of(headers.begin(), headers.end(), has_it)) {
    return absl::OkStatus();
  }

  std::optional<TrainingState> received;
  if (!has_it(mine)) {
    LORY_ASSIGN_OR_RETURN(received, BlankState(spec, wanted.step));
    received->optimizer->set_step_count(wanted.optimizer_steps);
    received->nonfinite_in_row = wanted.nonfinite_in_row;
    received->nonfinite_count = wanted.nonfinite_count;
    received->chain.assign(wanted.chain.data(), wanted.chain.size());
  }
  // Who has it passes it on through its own memory: the bytes are the same.
  TrainingState& target = received.has_value() ? *received : *state;
  for (const at::Tensor& tensor :
       {target.model->parameters().flat_values(),
        target.optimizer->first_moment(), target.optimizer->second_moment()}) {
    LORY_RETURN_IF_ERROR(communicator.Broadcast(BytesOf(tensor), source));
  }
  if (!received.has_value()) return absl::OkStatus();
  if (HeaderOf(received).digest != wanted.digest) {
    return absl::UnavailableError(absl::StrCat(
        "the state that came from rank ", source, " is not the one it sent"));
  }
  Log(LogLevel::kInfo, "state received",
      {{"step", wanted.step}, {"from_rank", source}});
  state = std::move(received);
  return absl::OkStatus();
}

}  // namespace lory::train
