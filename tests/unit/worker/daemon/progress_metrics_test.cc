#include "worker/daemon/progress_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lory::daemon {
namespace {

using ::lory::v1::JobProgress;
using ::lory::v1::LayerRouting;
using ::testing::HasSubstr;
using ::testing::Not;

struct ProgressMetricsTest : ::testing::Test {
  ProgressMetricsTest() { DeclareProgress(registry); }

  LayerRouting& AddLayer(int layer, int experts) {
    return Fill(*progress.add_routing(), layer, experts);
  }

  static LayerRouting& Fill(LayerRouting& routing, int layer, int experts) {
    routing.set_layer(layer);
    routing.set_entropy(1.25);
    routing.set_active_share(0.75);
    routing.set_unrouted_share(0.5);
    routing.set_load_ratio(1.5);
    for (int i = 0; i < experts; ++i) {
      routing.add_weight_mean(1.0 / experts);
      routing.add_active_fraction(0.5);
    }
    return routing;
  }

  // Domains "0", "1", ... with the routing of that many layers and experts.
  void AddDomains(int domains, int layers, int experts) {
    for (int i = 0; i < domains; ++i) {
      v1::DomainLoss& domain = *progress.mutable_evaluation()->add_domains();
      domain.set_domain(std::to_string(i));
      for (int layer = 0; layer < layers; ++layer) {
        Fill(*domain.add_routing(), layer, experts);
      }
    }
  }

  std::string Page() {
    SetProgress("tiny", progress, registry);
    return registry.Serialize();
  }

  metrics::Registry registry;
  JobProgress progress;
};

TEST_F(ProgressMetricsTest, TheNewestStepIsShown) {
  progress.set_step(12);
  progress.set_loss(2.5);
  progress.set_auxiliary_loss(0.125);
  progress.mutable_step_times()->set_forward_seconds(0.25);
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("lory_trainer_step{job=\"tiny\"} 12\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_loss_nats{job=\"tiny\"} 2.5\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_auxiliary_loss_nats{job=\"tiny\"} "
                              "0.125\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_step_seconds{job=\"tiny\","
                              "phase=\"forward\"} 0.25\n"));
}

TEST_F(ProgressMetricsTest, ExpertsAreShownByLayer) {
  AddLayer(1, 4);
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("lory_trainer_expert_weight_ratio{expert=\"3\","
                              "job=\"tiny\",layer=\"1\"} 0.25\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_routing_entropy_nats{job=\"tiny\","
                              "layer=\"1\"} 1.25\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_active_experts_ratio{job=\"tiny\","
                              "layer=\"1\"} 0.75\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_unrouted_ratio{job=\"tiny\","
                              "layer=\"1\"} 0.5\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_expert_load_ratio{job=\"tiny\","
                              "layer=\"1\"} 1.5\n"));
}

TEST_F(ProgressMetricsTest, TooManyExpertsAreShownInSumOnly) {
  for (int layer = 0; layer < 40; ++layer) AddLayer(layer, 16);
  const std::string page = Page();
  EXPECT_THAT(page, Not(HasSubstr("lory_trainer_expert_weight_ratio{")));
  EXPECT_THAT(page, HasSubstr("lory_trainer_routing_entropy_nats{"));
}

TEST_F(ProgressMetricsTest, PerplexityIsShownByDomain) {
  v1::Evaluation& evaluation = *progress.mutable_evaluation();
  evaluation.set_step(100);
  evaluation.add_domains()->set_domain("code");
  evaluation.mutable_domains(0)->set_perplexity(7.5);
  evaluation.mutable_overall()->set_perplexity(9);
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("lory_trainer_perplexity{domain=\"code\","
                              "job=\"tiny\"} 7.5\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_perplexity{domain=\"overall\","
                              "job=\"tiny\"} 9\n"));
}

TEST_F(ProgressMetricsTest, SpecialisationIsShownByDomainLayerAndExpert) {
  AddDomains(2, 2, 4);
  LayerRouting& layer =
      *progress.mutable_evaluation()->mutable_domains(1)->mutable_routing(1);
  layer.set_weight_mean(3, 0.5);
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("lory_trainer_domain_expert_weight_ratio{"
                              "domain=\"1\",expert=\"3\",job=\"tiny\","
                              "layer=\"1\"} 0.5\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_domain_expert_weight_ratio{"
                              "domain=\"0\",expert=\"3\",job=\"tiny\","
                              "layer=\"1\"} 0.25\n"));
  EXPECT_THAT(page, Not(HasSubstr("layer=\"mean\"")));
  EXPECT_THAT(page, HasSubstr("lory_trainer_domain_expert_load_ratio{"
                              "domain=\"1\",job=\"tiny\",layer=\"0\"} 1.5\n"));
  EXPECT_THAT(page, HasSubstr("lory_trainer_domain_unrouted_ratio{"
                              "domain=\"1\",job=\"tiny\",layer=\"0\"} 0.5\n"));
}

TEST_F(ProgressMetricsTest, SpecialisationOfTooManyIsShownAsMeanOverLayers) {
  AddDomains(8, 16, 16);
  const char* const of_a_layer = "expert=\"3\",job=\"tiny\",layer=\"15\"}";
  EXPECT_THAT(Page(), HasSubstr(of_a_layer));
  // One layer more, and there are more than 2048.
  metrics::Registry fresh;
  DeclareProgress(fresh);
  for (v1::DomainLoss& domain :
       *progress.mutable_evaluation()->mutable_domains()) {
    Fill(*domain.add_routing(), 16, 16);
  }
  LayerRouting& layer =
      *progress.mutable_evaluation()->mutable_domains(7)->mutable_routing(16);
  layer.set_weight_mean(3, 0.0625 + 0.17);
  SetProgress("tiny", progress, fresh);
  const std::string page = fresh.Serialize();
  EXPECT_THAT(page, Not(HasSubstr(of_a_layer)));
  const char* const mean = "lory_trainer_domain_expert_weight_ratio{domain=";
  EXPECT_THAT(page, HasSubstr(absl::StrCat(mean,
                                           "\"6\",expert=\"3\",job=\"tiny\","
                                           "layer=\"mean\"} 0.0625\n")));
  EXPECT_THAT(page, HasSubstr(absl::StrCat(mean,
                                           "\"7\",expert=\"3\",job=\"tiny\","
                                           "layer=\"mean\"} 0.0725")));
  EXPECT_THAT(page, HasSubstr("lory_trainer_domain_routing_entropy_nats{"));
}

TEST_F(ProgressMetricsTest, WithoutAnEvaluationNoneIsInvented) {
  EXPECT_THAT(Page(), Not(HasSubstr("lory_trainer_perplexity{")));
}

}  // namespace
}  // namespace lory::daemon
