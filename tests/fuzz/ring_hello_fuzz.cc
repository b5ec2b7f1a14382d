// What a stranger says on a ring's port: the one right hello is taken, and
// nothing else.
#include "tests/fuzz/fuzz.h"
#include "worker/collective/ring_handshake.h"

namespace lory::collective {

LORY_FUZZ(input) {
  const Membership membership = {.job = "jobs/a",
                                 .generation = 7,
                                 .rank = 1,
                                 .world_size = 3,
                                 .token = "0123456789abcdef"};
  Membership before = membership;
  before.rank = 0;
  // The lane is the peer's to choose, and part of what it proves.
  LaneAddress lane;
  lane.process_id = static_cast<int64_t>(input.size());
  std::string hello = MakeHello(before, lane);
  LORY_CHECK(CheckHello(hello, membership).ok());
  // The input is laid over the right one: no change of it is right.
  const std::string right = hello;
  for (size_t i = 0; i < std::min(input.size(), hello.size()); ++i) {
    hello[i] = static_cast<char>(hello[i] ^ input[i]);
  }
  const absl::Status status = CheckHello(hello, membership);
  fuzz::CheckError(status, {absl::StatusCode::kPermissionDenied,
                            absl::StatusCode::kFailedPrecondition});
  LORY_CHECK(status.ok() == (hello == right));
  const std::string alone(input);
  LORY_CHECK(!CheckHello(alone, membership).ok());
}

}  // namespace lory::collective
