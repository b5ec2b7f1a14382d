#ifndef LORY_TESTS_UNIT_WORKER_COLLECTIVE_RANKS_H_
#define LORY_TESTS_UNIT_WORKER_COLLECTIVE_RANKS_H_

#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "worker/collective/communicator.h"

namespace lory::collective {

// Listeners of a whole generation and what their ranks must know.
struct Ranks {
  Ranks(Transport& transport, int world,
        absl::Duration timeout = absl::Seconds(20)) {
    for (int rank = 0; rank < world; ++rank) {
      auto listener = transport.Listen();
      EXPECT_TRUE(listener.ok()) << listener.status();
      memberships.push_back({.job = "jobs/test",
                             .generation = 7,
                             .rank = rank,
                             .world_size = world,
                             .token = "secret",
                             .timeout = timeout});
      listeners.push_back(*std::move(listener));
    }
    for (Membership& membership : memberships) {
      for (const auto& listener : listeners) {
        membership.endpoints.push_back(listener->endpoint());
      }
    }
  }

  // Runs `body` on every rank in a thread of its own, once all are connected;
  // each rank's communicator is gone when its body returns.
  void Run(const std::function<void(std::unique_ptr<Communicator>)>& body) {
    std::latch connected(static_cast<ptrdiff_t>(listeners.size()));
    std::vector<std::jthread> threads;
    for (size_t rank = 0; rank < listeners.size(); ++rank) {
      threads.emplace_back([&, rank] {
        auto communicator = listeners[rank]->Connect(memberships[rank]);
        connected.arrive_and_wait();
        ASSERT_TRUE(communicator.ok()) << communicator.status();
        body(*std::move(communicator));
      });
    }
  }

  std::vector<Membership> memberships;
  std::vector<std::unique_ptr<Listener>> listeners;
};

}  // namespace lory::collective

#endif  // LORY_TESTS_UNIT_WORKER_COLLECTIVE_RANKS_H_
