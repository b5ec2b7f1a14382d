#include "worker/train/evaluator.h"

#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"
#include "common/data/shard_file.h"
#include "common/io/storage.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/worker/train/fleet.h"
#include "worker/collective/in_process_transport.h"

namespace lory::train {
namespace {

// `count` sequences of the job's length in which every token is `token`.
lory::data::ShardEntry WriteConstant(const std::string& prefix, int32_t token,
                                     int64_t count) {
  auto writer = lory::data::ShardWriter::Create(prefix, 65, 64);
  EXPECT_TRUE(writer.ok()) << writer.status();
  for (int64_t i = 0; i < count; ++i) {
    EXPECT_TRUE((*writer)->Append(std::vector<int32_t>(65, token)).ok());
  }
  return *(*writer)->Finish();
}

// Domains of one token each have no entropy; both together have that of a
// coin, thrown as often as each has text.
TEST(Evaluator, EntropyOverallIsThatOfAllTextTogether) {
  lory::testing::TemporaryFolder folder;
  const std::string path = WriteCountingDataset(folder.path(), 4);
  auto manifest = lory::data::ReadDatasetManifest(path);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  manifest->held_out = {{"ones", WriteConstant(folder.path() + "/ones", 1, 1)},
                        {"twos", WriteConstant(folder.path() + "/twos", 2, 3)}};
  ASSERT_TRUE(lory::io::LocalStorage()
                  .Write(path, SerializeDatasetManifest(*manifest))
                  .ok());
  auto dataset = lory::data::Dataset::Open(path, false);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  auto model = lory::model::Transformer::Create(TinySpec(1).model(), false, 1);
  ASSERT_TRUE(model.ok()) << model.status();
  lory::collective::InProcessTransport transport;
  auto listener = transport.Listen();
  ASSERT_TRUE(listener.ok());
  auto alone = (*listener)->Connect(
      {.job = "jobs/tiny", .endpoints = {(*listener)->endpoint()}});
  ASSERT_TRUE(alone.ok()) << alone.status();

  Evaluator evaluator(**dataset, {}, 2);
  const auto evaluation =
      evaluator.Evaluate(**model, **alone, RealClock(), [] { return true; });
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  ASSERT_EQ(evaluation->domains_size(), 2);
  EXPECT_EQ(evaluation->domains(0).unigram_entropy(), 0);
  EXPECT_EQ(evaluation->domains(1).unigram_entropy(), 0);
  EXPECT_NEAR(evaluation->overall().unigram_entropy(),
              -0.25 * std::log(0.25) - 0.75 * std::log(0.75), 1e-12);

  int batches = 0;
  const auto given_up = evaluator.Evaluate(**model, **alone, RealClock(),
                                           [&] { return ++batches < 2; });
  EXPECT_EQ(given_up.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(batches, 2);
}

}  // namespace
}  // namespace lory::train
