#include "worker/train/evaluator.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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

// A dataset with two held-out sets of one token each, a model that never saw
// it, and a world of one rank.
struct Measured {
  // `kept_out`: the corpus has nothing to train of the second.
  explicit Measured(bool kept_out) {
    const std::string path = WriteCountingDataset(folder.path(), 5);
    auto manifest = lory::data::ReadDatasetManifest(path);
    EXPECT_TRUE(manifest.ok()) << manifest.status();
    manifest->held_out = {
        {"ones", WriteConstant(folder.path() + "/ones", 1, 1)},
        {"twos", WriteConstant(folder.path() + "/twos", 2, 3), kept_out}};
    EXPECT_TRUE(lory::io::LocalStorage()
                    .Write(path, SerializeDatasetManifest(*manifest))
                    .ok());
    dataset = *lory::data::Dataset::Open(path, false);
    model = *lory::model::Transformer::Create(TinySpec(1).model(), false, 1);
    auto listener = *transport.Listen();
    alone = *listener->Connect(
        {.job = "jobs/tiny", .endpoints = {listener->endpoint()}});
  }

  absl::StatusOr<lory::v1::Evaluation> Evaluate(
      const Evaluator::Options& options,
      const std::function<bool()>& go_on = [] { return true; }) {
    Evaluator evaluator(*dataset, options);
    return evaluator.Evaluate(*model, *alone, RealClock(), go_on);
  }

  const lory::testing::TemporaryFolder folder;
  std::unique_ptr<lory::data::Dataset> dataset;
  std::unique_ptr<lory::model::Transformer> model;
  lory::collective::InProcessTransport transport;
  std::unique_ptr<lory::collective::Communicator> alone;
};

// Domains of one token each have no entropy; both together have that of a
// coin, thrown as often as each has text.
TEST(Evaluator, EntropyOverallIsThatOfAllTextTogether) {
  Measured measured(/*kept_out=*/false);
  const auto evaluation = measured.Evaluate({.rows = 2});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  ASSERT_EQ(evaluation->domains_size(), 2);
  EXPECT_EQ(evaluation->domains(0).unigram_entropy(), 0);
  EXPECT_EQ(evaluation->domains(1).unigram_entropy(), 0);
  EXPECT_NEAR(evaluation->overall().unigram_entropy(),
              -0.25 * std::log(0.25) - 0.75 * std::log(0.75), 1e-12);
  EXPECT_FALSE(evaluation->has_train());
  EXPECT_FALSE(evaluation->has_kept_out());
  EXPECT_EQ(evaluation->overall().later_token_count(), 0);

  int batches = 0;
  const auto given_up =
      measured.Evaluate({.rows = 2}, [&] { return ++batches < 2; });
  EXPECT_EQ(given_up.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(batches, 2);
}

TEST(Evaluator, WhatWasKeptOutAndTrainingTextStandApart) {
  Measured measured(/*kept_out=*/true);
  const auto evaluation = measured.Evaluate({.train_sequences = 3, .rows = 2});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_FALSE(evaluation->domains(0).kept_out());
  EXPECT_TRUE(evaluation->domains(1).kept_out());
  EXPECT_EQ(evaluation->overall().loss(), evaluation->domains(0).loss());
  EXPECT_EQ(evaluation->kept_out().loss(), evaluation->domains(1).loss());
  EXPECT_EQ(evaluation->kept_out().token_count(), 3 * 64);
  EXPECT_EQ(evaluation->train().token_count(), 3 * 64);
  // Of five training sequences three are used, spread over all.
  at::NoGradGuard no_grad;
  double loss = 0;
  for (const int64_t index : {0, 1, 3}) {
    std::vector<int64_t> tokens(65);
    ASSERT_TRUE(measured.dataset->Read(index, tokens).ok());
    const at::Tensor all = at::tensor(tokens).unsqueeze(0);
    loss += measured.model->Forward(all.narrow(1, 0, 64), all.narrow(1, 1, 64))
                .loss_sum.item<double>();
  }
  EXPECT_NEAR(evaluation->train().loss(), loss / 192, 1e-6);
}

TEST(Evaluator, LaterFiguresLeaveOutTheFirstPositions) {
  Measured measured(/*kept_out=*/false);
  const auto evaluation = measured.Evaluate({.first_positions = 16});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  const lory::v1::DomainLoss& ones = evaluation->domains(0);
  EXPECT_EQ(ones.later_token_count(), 48);
  EXPECT_EQ(evaluation->overall().later_token_count(), 4 * 48);
  at::NoGradGuard no_grad;
  at::Tensor targets = at::full({1, 64}, 1, at::kLong);
  targets.narrow(1, 0, 16).fill_(-1);
  const double loss =
      measured.model->Forward(at::full({1, 64}, 1, at::kLong), targets)
          .loss_sum.item<double>();
  EXPECT_NEAR(ones.later_loss(), loss / 48, 1e-6);
  EXPECT_NEAR(ones.later_perplexity(), std::exp(loss / 48), 1e-3);
}

// The first segment of the model, where the spec names no other.
TEST(Evaluator, OptionsFollowTheSpec) {
  lory::v1::JobSpec spec = TinySpec(1);
  EXPECT_EQ(Evaluator::OptionsOf(spec).first_positions, 16);
  EXPECT_EQ(Evaluator::OptionsOf(spec).train_sequences, 64);
  spec.mutable_evaluation()->set_train_sequences(-1);
  spec.mutable_evaluation()->set_first_positions(7);
  EXPECT_EQ(Evaluator::OptionsOf(spec).first_positions, 7);
  EXPECT_EQ(Evaluator::OptionsOf(spec).train_sequences, -1);
  spec.mutable_evaluation()->clear_first_positions();
  spec.mutable_model()->mutable_feed_forward()->mutable_dense();
  EXPECT_EQ(Evaluator::OptionsOf(spec).first_positions, 0);
}

}  // namespace
}  // namespace lory::train
