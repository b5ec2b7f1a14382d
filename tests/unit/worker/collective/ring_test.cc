#include <sys/socket.h>

#include <latch>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/collective/ranks.h"
#include "worker/collective/ring_handshake.h"
#include "worker/collective/ring_transport.h"
#include "worker/collective/socket.h"

// What only rings of sockets can get wrong.
namespace lory::collective {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

const Membership kSecond{.job = "jobs/test",
                         .generation = 7,
                         .rank = 1,
                         .world_size = 3,
                         .token = "secret"};

// The hello of the rank before kSecond, after `change`.
template <typename Change>
absl::Status Judge(const Change& change) {
  Membership first = kSecond;
  first.rank = 0;
  change(first);
  return CheckHello(MakeHello(first), kSecond);
}

TEST(RingHandshake, TheRankBeforeIsWelcome) {
  EXPECT_OK(Judge([](Membership&) {}));
}

TEST(RingHandshake, AnythingElseIsRefused) {
  using Code = absl::StatusCode;
  EXPECT_THAT(Judge([](Membership& m) { m.token = "guess"; }),
              StatusIs(Code::kPermissionDenied, HasSubstr("token")));
  EXPECT_THAT(Judge([](Membership& m) { m.job = "jobs/other"; }),
              StatusIs(Code::kPermissionDenied, HasSubstr("job")));
  EXPECT_THAT(Judge([](Membership& m) { m.generation = 6; }),
              StatusIs(Code::kFailedPrecondition,
                       HasSubstr("generation 6 at generation 7")));
  EXPECT_THAT(Judge([](Membership& m) { m.rank = 2; }),
              StatusIs(Code::kFailedPrecondition, HasSubstr("rank 2")));
  EXPECT_THAT(Judge([](Membership& m) { m.world_size = 4; }),
              StatusIs(Code::kFailedPrecondition, HasSubstr("of 4")));
  EXPECT_THAT(CheckHello("GET / HTTP/1.1", kSecond),
              StatusIs(Code::kPermissionDenied, HasSubstr("no hello")));
  EXPECT_THAT(CheckHello(std::string(kHelloBytes, '\0'), kSecond),
              StatusIs(Code::kPermissionDenied, HasSubstr("no hello")));
}

TEST(RingTransport, StrangersDoNotDisturbARingThatForms) {
  RingTransport transport("127.0.0.1");
  Ranks ranks(transport, 2);
  // One says nothing, one speaks nonsense, one is of an old generation.
  std::vector<FileDescriptor> strangers;
  for (const std::string& words : {std::string(), std::string(200, 'x'), [&] {
                                     Membership old = ranks.memberships[1];
                                     old.generation = 6;
                                     return MakeHello(old);
                                   }()}) {
    LORY_ASSERT_OK_AND_ASSIGN(FileDescriptor stranger,
                              BeginConnect(ranks.listeners[0]->endpoint()));
    send(stranger.get(), words.data(), words.size(), MSG_NOSIGNAL);
    strangers.push_back(std::move(stranger));
  }
  ranks.Run([](std::unique_ptr<Communicator> communicator) {
    EXPECT_OK(communicator->Barrier());
  });
}

TEST(RingTransport, APeerThatWasNeverThereIsNamed) {
  RingTransport transport("127.0.0.1");
  Ranks ranks(transport, 2);
  ranks.listeners[1].reset();
  EXPECT_THAT(ranks.listeners[0]->Connect(ranks.memberships[0]),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("rank 1 is gone: Connection refused")));
  EXPECT_EQ(ranks.listeners[0]->failed_rank(), 1);
}

TEST(RingTransport, AbortEndsAConnectThatWaits) {
  RingTransport transport("127.0.0.1");
  Ranks ranks(transport, 2);
  std::jthread aborter([&] { ranks.listeners[0]->Abort(); });
  EXPECT_THAT(ranks.listeners[0]->Connect(ranks.memberships[0]),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("aborted")));
}

TEST(RingTransport, DifferentCallsAreFoundOut) {
  RingTransport transport("127.0.0.1");
  Ranks ranks(transport, 2);
  std::latch done(2);
  ranks.Run([&](std::unique_ptr<Communicator> communicator) {
    std::vector<float> numbers(communicator->rank() == 0 ? 10 : 11);
    EXPECT_THAT(
        communicator->AllReduceSum(numbers),
        StatusIs(absl::StatusCode::kInternal, HasSubstr("all-reduce of 4")));
    done.arrive_and_wait();
  });
}

TEST(RingTransport, AContradictoryMembershipIsRefused) {
  RingTransport transport("127.0.0.1");
  LORY_ASSERT_OK_AND_ASSIGN(auto listener, transport.Listen());
  EXPECT_THAT(
      listener->Connect({.rank = 2, .world_size = 2}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("rank 2 of 2")));
  EXPECT_THAT(listener->Connect({.rank = 1, .world_size = 2}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("0 endpoints for 2 ranks")));
}

}  // namespace
}  // namespace lory::collective
