#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/loryctl/fake_service.h"

// Jobs that do not train, as loryctl shows them.
namespace lory::ctl {
namespace {

using ::lory::v1::Job;
using ::lory::v1::JobSpec;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFolder[] = "/storage/jobs/tiny/checkpoints/step-400.gen-1";

struct JobKindsTest : ::testing::Test {
  JobKindsTest() {
    Job measured = TrainingJob();
    measured.set_name("jobs/measured");
    measured.set_state(Job::SUCCEEDED);
    measured.mutable_spec()->set_kind(JobSpec::EVALUATE);
    measured.mutable_spec()->set_init_from("jobs/tiny");
    measured.mutable_spec()->clear_step_count();
    measured.mutable_initial_checkpoint()->set_step(400);
    measured.mutable_initial_checkpoint()->set_folder(kFolder);
    measured.set_checkpoint_step(-1);
    const lory::v1::Evaluation found = measured.progress().evaluation();
    measured.clear_progress();
    *measured.mutable_progress()->mutable_evaluation() = found;
    measured.mutable_progress()->mutable_evaluation()->set_step(0);
    Job adapted = TrainingJob();
    adapted.set_name("jobs/adapted");
    adapted.mutable_spec()->set_kind(JobSpec::ADAPT);
    adapted.mutable_spec()->set_init_from(kFolder);
    adapted.mutable_initial_checkpoint()->set_folder(kFolder);
    fake.jobs = {measured, adapted};
    fake.watched = {measured};
  }

  Outcome Ctl(absl::string_view arguments) {
    if (!started_) fake.Start();
    started_ = true;
    std::vector<std::string> words = {"--server", fake.address()};
    for (const auto word : absl::StrSplit(arguments, ' ')) {
      words.emplace_back(word);
    }
    return Loryctl(words, {});
  }

  FakeService fake;

 private:
  bool started_ = false;
};

TEST_F(JobKindsTest, AnEvaluationShowsNoStepsAndWhoseWeightsItMeasured) {
  const std::string shown = Ctl("job get measured").out;
  EXPECT_THAT(shown,
              AllOf(HasSubstr("begins from   jobs/tiny at step 400  " +
                              std::string(kFolder) + "\n"),
                    HasSubstr("held-out text by the weights of step 400\n"),
                    HasSubstr("overall")));
  for (const char* word : {"progress", "learning rate", "epoch", "batch",
                           "none yet", "after step", "0/0"}) {
    EXPECT_THAT(shown, Not(HasSubstr(word)));
  }
  EXPECT_THAT(Ctl("job list").out,
              HasSubstr("measured  SUCCEEDED        -              -"));
}

TEST_F(JobKindsTest, AnEvaluationShowsHowEachDomainSharesTheExperts) {
  auto& evaluation = *fake.jobs[0].mutable_progress()->mutable_evaluation();
  ASSERT_FALSE(evaluation.domains().empty());
  EXPECT_THAT(Ctl("job get measured").out, Not(HasSubstr("experts:")));
  for (auto& domain : *evaluation.mutable_domains()) {
    domain.clear_routing();
    for (int layer = 0; layer < 48; ++layer) {
      auto& routing = *domain.add_routing();
      routing.set_layer(layer);
      for (const double weight : {0.0, 1.0}) routing.add_weight_mean(weight);
    }
  }
  const std::string shown = Ctl("job get measured").out;
  EXPECT_THAT(shown, HasSubstr("experts: mean routing weight by domain"));
  // Not all fit, but the first and the last do.
  EXPECT_THAT(shown, AllOf(HasSubstr("DOMAIN"), HasSubstr("LAYER 0 "),
                           HasSubstr("LAYER 47"), Not(HasSubstr("LAYER 1 "))));
  EXPECT_THAT(shown, HasSubstr(evaluation.domains(0).domain()));
}

TEST_F(JobKindsTest, AnAdaptationsLossIsCalledEntropy) {
  const std::string shown = Ctl("job get adapted").out;
  EXPECT_THAT(shown, AllOf(HasSubstr("30 %  entropy 4.513"),
                           Not(HasSubstr("  loss 4.513"))));
  // The folder stands there once.
  EXPECT_EQ(shown.find(kFolder), shown.rfind(kFolder));
  EXPECT_THAT(Ctl("job list").out, HasSubstr("entropy 4.513"));
}

TEST_F(JobKindsTest, APlotNamesWhatItIsOfAndWhyThereIsNone) {
  const testing::TemporaryFolder folder;
  folder.Write("jobs/adapted/metrics/steps.jsonl",
               "{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1}\n");
  fake.checkpoints.emplace_back().set_folder(
      folder.At("jobs/adapted/checkpoints/step-2.gen-1"));
  EXPECT_THAT(Ctl("job plot adapted").out,
              HasSubstr("entropy by step: first 2.0000"));
  for (const char* command :
       {"job plot measured", "job plot measured --live"}) {
    const Outcome outcome = Ctl(command);
    EXPECT_EQ(outcome.code, 5);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("it takes no steps to plot"),
                                   HasSubstr("loryctl job get measured")));
  }
}

}  // namespace
}  // namespace lory::ctl
