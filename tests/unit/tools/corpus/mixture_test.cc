#include "tools/corpus/mixture.h"

#include <algorithm>

#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lory::corpus {
namespace {

using ::lory::testing::StatusIs;
using ::testing::HasSubstr;

// Documents of random lengths in domains a, b and c, some of them gone.
struct MixtureTest : ::testing::Test {
  void Make(int count) {
    records.assign(count, {});
    lengths.assign(count, 0);
    gone.assign(count, 0);
    for (int i = 0; i < count; ++i) {
      records[i].id = {random.Next(), random.Next()};
      records[i].domain = static_cast<int32_t>(random.Below(3));
      lengths[i] = 1 + static_cast<int64_t>(random.Below(100));
      gone[i] = random.Below(10) == 0;
    }
  }
  absl::StatusOr<Mixture> Run(const std::map<std::string, double>& weights) {
    return Mix(
        records, {"a", "b", "c"}, [this](int64_t i) { return lengths[i]; },
        gone, weights, 1);
  }

  Random random{1};
  std::vector<DocumentRecord> records;
  std::vector<int64_t> lengths;
  std::vector<uint8_t> gone;
};

TEST_F(MixtureTest, WithoutWeightsEachComesOnce) {
  Make(200);
  LORY_ASSERT_OK_AND_ASSIGN(const Mixture mixture, Run({}));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(mixture.copies[i], !gone[i]);
  for (const DomainShare& share : mixture.domains) EXPECT_EQ(share.epochs, 1);
}

TEST_F(MixtureTest, DomainsShareTheTokensByTheirWeights) {
  for (int round = 0; round < 200; ++round) {
    Make(600);
    std::map<std::string, double> weights;
    double sum = 0;
    for (const char* domain : {"a", "b", "c"}) {
      sum += weights[domain] = static_cast<double>(random.Below(8));
    }
    if (sum == 0) continue;
    LORY_ASSERT_OK_AND_ASSIGN(const Mixture mixture, Run(weights));
    int64_t total = 0;
    for (const DomainShare& share : mixture.domains) total += share.tokens;
    for (int d = 0; d < 3; ++d) {
      const DomainShare& share = mixture.domains[d];
      int64_t planned = 0;
      int least = 255, most = 0;
      for (int i = 0; i < 600; ++i) {
        EXPECT_TRUE(!gone[i] || mixture.copies[i] == 0);
        if (gone[i] || records[i].domain != d) continue;
        planned += mixture.copies[i] * lengths[i];
        least = std::min<int>(least, mixture.copies[i]);
        most = std::max<int>(most, mixture.copies[i]);
      }
      EXPECT_EQ(planned, share.planned);
      EXPECT_LE(most - least, 1);
      // To a document's length.
      EXPECT_NEAR(static_cast<double>(planned),
                  weights[share.domain] / sum * static_cast<double>(total),
                  100);
    }
  }
}

TEST_F(MixtureTest, ADocumentKeepsItsCopiesInWhateverOrderTheyCome) {
  Make(300);
  const std::map<std::string, double> weights = {{"a", 1}, {"b", 2}, {"c", 5}};
  const auto before = Run(weights)->copies;
  std::reverse(records.begin(), records.end());
  std::reverse(lengths.begin(), lengths.end());
  std::reverse(gone.begin(), gone.end());
  auto after = Run(weights)->copies;
  std::reverse(after.begin(), after.end());
  EXPECT_EQ(before, after);
}

TEST_F(MixtureTest, SaysWhatIsWrongWithTheWeights) {
  Make(300);
  EXPECT_THAT(Run({{"a", 1}, {"b", 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("domain c has no weight")));
  EXPECT_THAT(Run({{"a", 1}, {"b", 1}, {"c", 0}, {"d", 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("domain d has nothing to train; what has: "
                                 "a, b, c")));
  for (int i = 0; i < 300; ++i) gone[i] |= records[i].domain == 0;
  records[0].domain = gone[0] = 0;
  lengths[0] = 1;
  EXPECT_THAT(Run({{"a", 1e6}, {"b", 1}, {"c", 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("times, more than 100")));
}

TEST_F(MixtureTest, AWeightOfZeroLeavesADomainOut) {
  Make(300);
  LORY_ASSERT_OK_AND_ASSIGN(const Mixture mixture,
                            Run({{"a", 0}, {"b", 1}, {"c", 1}}));
  EXPECT_EQ(mixture.domains[0].planned, 0);
  EXPECT_GT(mixture.domains[1].epochs, 1);
}

}  // namespace
}  // namespace lory::corpus
