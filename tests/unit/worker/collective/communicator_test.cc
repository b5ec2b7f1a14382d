#include "worker/collective/communicator.h"

#include <cstring>
#include <latch>
#include <tuple>

#include "common/base/random.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/collective/ranks.h"
#include "worker/collective/in_process_transport.h"
#include "worker/collective/ring_transport.h"

// What every kind of communicator promises.
namespace lory::collective {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using testing::StatusIs;

// (transport, world)
struct CommunicatorTest
    : ::testing::TestWithParam<std::tuple<const char*, int>> {
  CommunicatorTest() {
    if (std::get<0>(GetParam()) == std::string("ring")) {
      transport = std::make_unique<RingTransport>("127.0.0.1");
    } else if (std::get<0>(GetParam()) == std::string("tcp_ring")) {
      transport = std::make_unique<RingTransport>("127.0.0.1", false);
    } else {
      transport = std::make_unique<InProcessTransport>();
    }
  }
  int world() const { return std::get<1>(GetParam()); }

  std::unique_ptr<Transport> transport;
};

std::vector<float> Numbers(int rank, size_t size) {
  Random random(rank + 1);
  std::vector<float> numbers(size);
  for (float& number : numbers) {
    number = static_cast<float>(random.NextDouble() - 0.5);
  }
  return numbers;
}

TEST_P(CommunicatorTest, SumsAreRightAndBitIdenticalOnAllRanks) {
  for (const size_t size : {0, 1, 2, 3, 7, 1000, 262147}) {
    Ranks ranks(*transport, world());
    std::vector<std::vector<float>> sums(world());
    ranks.Run([&](std::unique_ptr<Communicator> communicator) {
      std::vector<float>& numbers = sums[communicator->rank()];
      numbers = Numbers(communicator->rank(), size);
      EXPECT_OK(communicator->AllReduceSum(numbers));
    });
    std::vector<double> expected(size);
    for (int rank = 0; rank < world(); ++rank) {
      const std::vector<float> numbers = Numbers(rank, size);
      for (size_t i = 0; i < size; ++i) expected[i] += numbers[i];
    }
    EXPECT_THAT(sums[0], Pointwise(FloatNear(1e-6), expected));
    if (size == 0) continue;  // memcmp takes no null
    for (int rank = 1; rank < world(); ++rank) {
      ASSERT_EQ(std::memcmp(sums[0].data(), sums[rank].data(), 4 * size), 0);
    }
  }
}

TEST_P(CommunicatorTest, PiecesAreOneBuffer) {
  Ranks ranks(*transport, world());
  ranks.Run([&](std::unique_ptr<Communicator> communicator) {
    std::vector<float> a(5, 1.0f), b, c(100001, 2.0f), d(1, 3.0f);
    const std::vector<std::span<float>> pieces = {a, b, c, d};
    EXPECT_OK(communicator->AllReduceSum(pieces));
    EXPECT_EQ(a, std::vector<float>(5, 1.0f * world()));
    EXPECT_EQ(c, std::vector<float>(100001, 2.0f * world()));
    EXPECT_EQ(d, std::vector<float>(1, 3.0f * world()));
  });
}

TEST_P(CommunicatorTest, ARootsBytesReachEveryone) {
  for (int root = 0; root < world(); ++root) {
    Ranks ranks(*transport, world());
    ranks.Run([&](std::unique_ptr<Communicator> communicator) {
      std::vector<std::byte> bytes(
          700'001, static_cast<std::byte>(communicator->rank()));
      EXPECT_OK(communicator->Broadcast(bytes, root));
      EXPECT_EQ(bytes,
                std::vector<std::byte>(700'001, static_cast<std::byte>(root)));
    });
  }
}

TEST_P(CommunicatorTest, GatheredStringsComeByRank) {
  Ranks ranks(*transport, world());
  ranks.Run([&](std::unique_ptr<Communicator> communicator) {
    const int rank = communicator->rank();
    LORY_ASSERT_OK_AND_ASSIGN(const auto all,
                              communicator->AllGather(std::string(rank, 'x')));
    ASSERT_EQ(all.size(), static_cast<size_t>(world()));
    for (int other = 0; other < world(); ++other) {
      EXPECT_EQ(all[other], std::string(other, 'x'));
    }
    EXPECT_OK(communicator->Barrier());
  });
}

TEST_P(CommunicatorTest, AbortEndsACallThatWaits) {
  Ranks ranks(*transport, world());
  std::latch done(world());
  ranks.Run([&](std::unique_ptr<Communicator> communicator) {
    if (communicator->rank() == 0) {
      // Rank 0 takes no part, so the others can only wait.
      for (auto& listener : ranks.listeners) listener->Abort();
    } else {
      std::vector<float> numbers(1 << 20);
      EXPECT_THAT(communicator->AllReduceSum(numbers),
                  StatusIs(absl::StatusCode::kAborted, HasSubstr("aborted")));
      EXPECT_THAT(communicator->Barrier(),
                  StatusIs(absl::StatusCode::kAborted, HasSubstr("aborted")));
    }
    done.arrive_and_wait();
  });
}

TEST_P(CommunicatorTest, ALostPeerIsNamed) {
  Ranks ranks(*transport, world());
  std::latch neighbours(world() == 2 ? 1 : 2);
  std::latch done(world());
  ranks.Run([&](std::unique_ptr<Communicator> communicator) {
    const int rank = communicator->rank();
    if (rank == 0) {
      communicator.reset();
      neighbours.wait();
      for (auto& listener : ranks.listeners) listener->Abort();
    } else {
      std::vector<float> numbers(1 << 20);
      const absl::Status status = communicator->AllReduceSum(numbers);
      // Its neighbours see it; the others wait to be told.
      if (rank == 1 || rank == world() - 1) {
        EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                                     HasSubstr("rank 0 is gone")));
        EXPECT_EQ(communicator->failed_rank(), 0);
        neighbours.count_down();
      } else {
        EXPECT_FALSE(status.ok());
      }
    }
    done.arrive_and_wait();
  });
}

TEST_P(CommunicatorTest, ASilentPeerIsNotWaitedForForEver) {
  Ranks ranks(*transport, world(), absl::Milliseconds(20));
  std::latch done(world());
  ranks.Run([&](std::unique_ptr<Communicator> communicator) {
    if (communicator->rank() != 0) {
      EXPECT_THAT(communicator->Barrier(),
                  StatusIs(absl::StatusCode::kDeadlineExceeded,
                           HasSubstr("nothing moved for 20ms")));
    }
    done.arrive_and_wait();
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, CommunicatorTest,
    ::testing::Combine(::testing::Values("ring", "tcp_ring", "in_process"),
                       ::testing::Values(2, 3, 4)),
    [](const auto& info) {
      return std::string(std::get<0>(info.param)) + "_" +
             std::to_string(std::get<1>(info.param));
    });

TEST(SoloCommunicator, NeedsNobody) {
  RingTransport transport("127.0.0.1");
  Ranks ranks(transport, 1);
  ranks.Run([&](std::unique_ptr<Communicator> communicator) {
    std::vector<float> numbers = {1, 2};
    EXPECT_OK(communicator->AllReduceSum(numbers));
    EXPECT_THAT(numbers, ElementsAre(1, 2));
    LORY_ASSERT_OK_AND_ASSIGN(const auto all, communicator->AllGather("a"));
    EXPECT_THAT(all, ElementsAre("a"));
    communicator->Abort();
    EXPECT_THAT(communicator->Barrier(),
                StatusIs(absl::StatusCode::kAborted, HasSubstr("aborted")));
  });
}

}  // namespace
}  // namespace lory::collective
