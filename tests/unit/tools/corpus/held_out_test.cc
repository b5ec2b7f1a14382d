#include "tools/corpus/held_out.h"

#include <algorithm>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace lory::corpus {
namespace {

std::vector<DocumentRecord> Documents(int count, int domains,
                                      int64_t bytes = 100) {
  Random random(9);
  std::vector<DocumentRecord> records(count);
  for (int i = 0; i < count; ++i) {
    records[i].id = {random.Next(), random.Next()};
    records[i].domain = i % domains;
    records[i].text_bytes = bytes;
  }
  return records;
}

int64_t CountIn(const std::vector<uint8_t>& held_out,
                const std::vector<DocumentRecord>& records, int domain) {
  int64_t count = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    count += held_out[i] && records[i].domain == domain;
  }
  return count;
}

TEST(ChooseHeldOut, TakesTheFractionOfEveryDomain) {
  const auto records = Documents(1000, 4);
  const auto held_out = ChooseHeldOut(records, {.fraction = 0.1});
  for (int domain = 0; domain < 4; ++domain) {
    EXPECT_EQ(CountIn(held_out, records, domain), 25);
  }
}

TEST(ChooseHeldOut, DependsOnTheSeedAlone) {
  const auto records = Documents(1000, 2);
  const HeldOutOptions options = {.fraction = 0.1, .seed = 5};
  EXPECT_EQ(ChooseHeldOut(records, options), ChooseHeldOut(records, options));
  EXPECT_NE(ChooseHeldOut(records, options),
            ChooseHeldOut(records, {.fraction = 0.1, .seed = 6}));
}

TEST(ChooseHeldOut, DocumentsKeepTheirSideInWhateverOrderTheyCome) {
  auto records = Documents(500, 1);
  const auto before = ChooseHeldOut(records, {.fraction = 0.1});
  std::reverse(records.begin(), records.end());
  auto after = ChooseHeldOut(records, {.fraction = 0.1});
  std::reverse(after.begin(), after.end());
  EXPECT_EQ(before, after);
}

TEST(ChooseHeldOut, ASmallDomainGivesEnoughForAContext) {
  const auto records = Documents(50, 1);
  const auto held_out =
      ChooseHeldOut(records, {.fraction = 0.01, .min_bytes = 1000});
  EXPECT_EQ(CountIn(held_out, records, 0), 10);
}

TEST(ChooseHeldOut, NeverTakesMoreThanHalfOfADomain) {
  const auto records = Documents(10, 1);
  const auto held_out =
      ChooseHeldOut(records, {.fraction = 0.01, .min_bytes = 1'000'000});
  EXPECT_EQ(CountIn(held_out, records, 0), 5);
  const auto single = Documents(1, 1);
  EXPECT_EQ(CountIn(ChooseHeldOut(single, {.fraction = 0.5}), single, 0), 0);
}

TEST(ChooseHeldOut, AFractionOfZeroTakesNothing) {
  const auto records = Documents(100, 3);
  for (const uint8_t one :
       ChooseHeldOut(records, {.fraction = 0, .min_bytes = 1000})) {
    EXPECT_EQ(one, 0);
  }
}

}  // namespace
}  // namespace lory::corpus
