#include <benchmark/benchmark.h>

#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "worker/collective/ring_transport.h"

// All-reduce within a host, through shared memory or loopback, ranks as
// threads: bytes of the buffer a second
// ("algorithm bandwidth"), the figure that gloo's and NCCL's benches print.
namespace lory::collective {
namespace {

void BM_RingAllReduce(benchmark::State& state) {
  const int world = static_cast<int>(state.range(0));
  const size_t floats = static_cast<size_t>(state.range(1)) / 4;
  RingTransport transport("127.0.0.1", state.range(2) != 0);
  std::vector<std::unique_ptr<Listener>> listeners;
  Membership membership{.job = "jobs/bench", .world_size = world};
  for (int rank = 0; rank < world; ++rank) {
    listeners.push_back(*transport.Listen());
    membership.endpoints.push_back(listeners.back()->endpoint());
  }
  // Peers repeat until rank 0 is gone.
  const auto run = [&](int rank, auto&& keep_going) {
    Membership mine = membership;
    mine.rank = rank;
    auto communicator = listeners[rank]->Connect(mine);
    LORY_CHECK(communicator.ok());
    std::vector<float> numbers(floats, 1.0f);
    while (keep_going()) {
      if (!(*communicator)->AllReduceSum(numbers).ok()) break;
    }
  };
  std::vector<std::jthread> peers;
  for (int rank = 1; rank < world; ++rank) {
    peers.emplace_back([&, rank] { run(rank, [] { return true; }); });
  }
  run(0, [&] { return state.KeepRunning(); });
  state.SetBytesProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_RingAllReduce)
    ->ArgNames({"ranks", "bytes", "shared"})
    ->Args({2, 4 << 20, 1})
    ->Args({2, 64 << 20, 1})
    ->Args({2, 64 << 20, 0})
    ->Args({4, 64 << 20, 1})
    ->Args({2, 1 << 10, 1})
    ->Args({2, 1 << 10, 0})
    ->UseRealTime();

}  // namespace
}  // namespace lory::collective

BENCHMARK_MAIN();
