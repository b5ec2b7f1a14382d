#include "common/data/sample_digest.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "common/base/hash.h"
#include "gtest/gtest.h"

namespace lory::data {
namespace {

constexpr uint64_t kSeed = 11;
constexpr int64_t kSequences = 23;
constexpr int64_t kBatch = 4;
constexpr int64_t kSteps = 12;  // two epochs and a bit

// What a run trains: the sequences of every step, as (epoch, index).
using Trained = std::vector<std::vector<SequencePosition>>;

Trained FaultlessRun() {
  Trained run(kSteps);
  for (int64_t global = 0; global < kSteps * kBatch; ++global) {
    const SequencePosition place = PositionOf(global, kSequences);
    const SequenceOrder order(kSeed, place.epoch, kSequences);
    run[global / kBatch].push_back({place.epoch, order.At(place.position)});
  }
  return run;
}

std::string DigestOf(const Trained& run) {
  std::string digest = InitialDigest();
  for (size_t step = 0; step < run.size(); ++step) {
    uint64_t sum = 0;
    for (const SequencePosition& sample : run[step]) {
      sum += SampleFingerprint(sample.epoch, sample.position);
    }
    digest = NextDigest(digest, static_cast<int64_t>(step), sum);
  }
  return digest;
}

std::string ExpectedDigest() {
  std::string digest = InitialDigest();
  for (int64_t step = 0; step < kSteps; ++step) {
    digest = NextDigest(
        digest, step, ExpectedFingerprintSum(kSeed, kSequences, step, kBatch));
  }
  return digest;
}

TEST(SampleDigest, OfAFaultlessRunIsTheExpectedOne) {
  EXPECT_EQ(DigestOf(FaultlessRun()), ExpectedDigest());
}

TEST(SampleDigest, DoesNotCareInWhichOrderRanksAddUp) {
  Trained run = FaultlessRun();
  std::swap(run[3][0], run[3][2]);
  EXPECT_EQ(DigestOf(run), ExpectedDigest());
}

TEST(SampleDigest, FindsALostSampleInAnyStep) {
  for (int64_t step = 0; step < kSteps; ++step) {
    Trained run = FaultlessRun();
    run[step].pop_back();
    EXPECT_NE(DigestOf(run), ExpectedDigest()) << step;
  }
}

TEST(SampleDigest, FindsARepeatedSample) {
  Trained run = FaultlessRun();
  run[5].push_back(run[5][1]);
  EXPECT_NE(DigestOf(run), ExpectedDigest());
}

TEST(SampleDigest, FindsAReplacedSample) {
  Trained run = FaultlessRun();
  run[5][1] = run[5][2];
  EXPECT_NE(DigestOf(run), ExpectedDigest());
}

TEST(SampleDigest, FindsASampleThatMovedToAnotherStep) {
  Trained run = FaultlessRun();
  std::swap(run[4][0], run[5][0]);
  EXPECT_NE(DigestOf(run), ExpectedDigest());
}

TEST(SampleDigest, FindsASampleOfAnotherEpoch) {
  Trained run = FaultlessRun();
  run[2][0].epoch += 1;
  EXPECT_NE(DigestOf(run), ExpectedDigest());
}

TEST(SampleDigest, FindsAStepThatCameTwice) {
  Trained run = FaultlessRun();
  run.insert(run.begin() + 3, run[3]);
  EXPECT_NE(DigestOf(run), ExpectedDigest());
}

// Other programs recompute the chain; lory-verify and old checkpoints do.
TEST(SampleDigest, IsTheDocumentedHash) {
  std::string bytes(32, '\0');
  bytes += std::string("\x02\0\0\0\0\0\0\0", 8);
  bytes += std::string("\x88\x77\x66\x55\x44\x33\x22\x11", 8);
  EXPECT_EQ(NextDigest(InitialDigest(), 2, 0x1122334455667788u),
            Sha256Bytes(bytes));
  EXPECT_EQ(SampleFingerprint(0, 0), 2834581909006504146u);
  EXPECT_EQ(SampleFingerprint(3, 1'000'000), 14447271708888010136u);
}

}  // namespace
}  // namespace lory::data
