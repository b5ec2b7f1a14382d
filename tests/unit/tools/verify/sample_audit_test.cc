#include "tools/verify/sample_audit.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/verify/made_up_run.h"

namespace lory::verify {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SampleAudit Audit(const MadeUpRun& run) {
  return AuditSamples(run.History(), run.Grid(), run.trace);
}

// Removes the lines for which `condition` holds.
template <typename Condition>
void Remove(MadeUpRun& run, Condition condition) {
  std::erase_if(run.trace.lines, condition);
}

const Verdict& Named(const SampleAudit& audit, const std::string& part) {
  for (const Verdict& verdict : audit.verdicts) {
    if (verdict.invariant().find(part) != std::string::npos) return verdict;
  }
  static const Verdict& none = *new Verdict("none");
  return none;
}

TEST(AuditSamples, AFaultlessRunLosesAndRepeatsNothing) {
  const SampleAudit audit = Audit(MadeUpRun());
  for (const Verdict& verdict : audit.verdicts) {
    EXPECT_TRUE(verdict.ok()) << verdict.invariant();
  }
  EXPECT_EQ(audit.lost, 0);
  EXPECT_EQ(audit.repeated, 0);
  EXPECT_EQ(audit.steps, 6);
}

TEST(AuditSamples, AStepWithoutALineLosesAllItsSamples) {
  MadeUpRun run;
  Remove(run, [](const TraceLine& line) { return line.step == 4; });
  const SampleAudit audit = Audit(run);
  EXPECT_THAT(Named(audit, "every step").failures(),
              ElementsAre("step 4: no line"));
  EXPECT_EQ(audit.lost, 8);
}

TEST(AuditSamples, AFencedLineDoesNotStandInForOneThatCounts) {
  MadeUpRun run;
  // Only b's line of generation 1 is left for the step that 2 took over.
  Remove(run, [](const TraceLine& line) {
    return line.step == MadeUpRun::kTakeover && line.generation == 2;
  });
  EXPECT_TRUE(Failed(Audit(run).verdicts, "every step"));
}

TEST(AuditSamples, OneLineOfAStepIsEnough) {
  MadeUpRun run;
  Remove(run, [](const TraceLine& line) { return line.file == "c-0.jsonl"; });
  EXPECT_EQ(Audit(run).lost, 0);
  EXPECT_FALSE(Failed(Audit(run).verdicts, "every step"));
}

TEST(AuditSamples, LinesOfOneStepMustAgree) {
  MadeUpRun run;
  run.trace.lines.back().shares = {2, 2};
  EXPECT_THAT(Named(Audit(run), "agree").failures(),
              ElementsAre(HasSubstr("step 5: c-0.jsonl:6 differs")));
}

TEST(AuditSamples, ASampleLeftOutIsCountedWithStepAndRank) {
  MadeUpRun run;
  const uint64_t lost = run.Grid().Fingerprints(4, 1, 3)[2];
  run.ChangeLines(4, [&](TraceLine& line) { line.sums[1] -= lost; });
  const SampleAudit audit = Audit(run);
  EXPECT_EQ(audit.lost, 1);
  EXPECT_EQ(audit.repeated, 0);
  EXPECT_THAT(Named(audit, "exactly once").failures(),
              ElementsAre("step 4, rank 1 of 2: sample 2 is missing"));
}

TEST(AuditSamples, ASampleTrainedTwiceIsCounted) {
  MadeUpRun run;
  const uint64_t again = run.Grid().Fingerprints(5, 0, 1)[1];
  run.ChangeLines(5, [&](TraceLine& line) { line.sums[0] += again; });
  const SampleAudit audit = Audit(run);
  EXPECT_EQ(audit.lost, 0);
  EXPECT_EQ(audit.repeated, 1);
}

TEST(AuditSamples, OneSampleInPlaceOfAnotherIsBoth) {
  MadeUpRun run;
  const auto prints = run.Grid().Fingerprints(4, 1, 3);
  run.ChangeLines(
      4, [&](TraceLine& line) { line.sums[1] += prints[0] - prints[3]; });
  const SampleAudit audit = Audit(run);
  EXPECT_EQ(audit.lost, 1);
  EXPECT_EQ(audit.repeated, 1);
}

TEST(AuditSamples, ARankThatTrainedNothingOfItsShareLosesAllOfIt) {
  MadeUpRun run;
  run.ChangeLines(4, [](TraceLine& line) { line.sums[1] = 0; });
  EXPECT_EQ(Audit(run).lost, 6);
}

TEST(AuditSamples, SwappedSharesLoseNothingButAreFound) {
  MadeUpRun run;
  run.ChangeLines(
      4, [](TraceLine& line) { std::swap(line.sums[0], line.sums[1]); });
  const SampleAudit audit = Audit(run);
  EXPECT_EQ(audit.lost + audit.repeated, 0);
  EXPECT_TRUE(Failed(audit.verdicts, "exactly once"));
}

TEST(AuditSamples, SharesThatAreNotTheGridLoseOrRepeatTheDifference) {
  MadeUpRun less;
  less.ChangeLines(4, [](TraceLine& line) { line.shares = {1, 2}; });
  EXPECT_GE(Audit(less).lost, 2);
  MadeUpRun more;
  more.ChangeLines(4, [](TraceLine& line) { line.shares = {2, 3}; });
  EXPECT_GE(Audit(more).repeated, 2);
}

TEST(AuditSamples, ALineOfAnotherWorldIsRefused) {
  MadeUpRun run;
  run.ChangeLines(4, [](TraceLine& line) { line.sums.push_back(0); });
  EXPECT_TRUE(Failed(Audit(run).verdicts, "exactly once"));
  EXPECT_EQ(Audit(run).lost, 8);
}

TEST(AuditSamples, AStepAppliedTwiceByOneRankRepeatsItsSamples) {
  MadeUpRun run;
  run.trace.lines.push_back(run.Line("a-0.jsonl", 2, 5));
  const SampleAudit audit = Audit(run);
  EXPECT_EQ(audit.repeated, 8);
  EXPECT_TRUE(Failed(audit.verdicts, "exactly once"));
}

TEST(AuditSamples, TheFirstLinkThatDiffersIsNamed) {
  MadeUpRun run;
  for (const int64_t step : {4, 5}) {
    run.ChangeLines(step, [](TraceLine& line) { line.digest[0] ^= 1; });
  }
  EXPECT_THAT(Named(Audit(run), "chain").failures(),
              ElementsAre(HasSubstr("from step 4 on")));
}

TEST(AuditSamples, AGenerationThatNeverStartedMayNotWrite) {
  MadeUpRun run;
  run.trace.lines.push_back(run.Line("z-0.jsonl", 3, 5));
  EXPECT_THAT(Named(Audit(run), "fenced").failures(),
              ElementsAre(HasSubstr("generation 3, which never started")));
}

TEST(AuditSamples, AGenerationMayNotWriteBeforeItsStart) {
  MadeUpRun run;
  run.trace.lines.push_back(run.Line("c-0.jsonl", 2, 1));
  EXPECT_THAT(Named(Audit(run), "fenced").failures(),
              ElementsAre(HasSubstr("which started at step 3")));
}

TEST(AuditSamples, AZombieThatTrainsOnIsFound) {
  MadeUpRun run;
  // b's line for step 3 is what a rank may apply alone before it dies; step 4
  // needs a, which was in generation 2 by then.
  run.trace.lines.push_back(run.Line("b-0.jsonl", 1, 4));
  EXPECT_THAT(Named(Audit(run), "fenced").failures(),
              ElementsAre(HasSubstr("which may not pass step 3")));
}

TEST(AuditSamples, NobodyWritesBeyondTheLastStep) {
  MadeUpRun run;
  run.trace.lines.push_back(run.Line("a-0.jsonl", 2, 6));
  EXPECT_TRUE(Failed(Audit(run).verdicts, "fenced"));
}

TEST(AuditSamples, GarbageIsRefusedAndATornLineIsOnlyNoted) {
  MadeUpRun run;
  run.trace.torn.push_back("b-0.jsonl:5");
  EXPECT_FALSE(Failed(Audit(run).verdicts, "can be read"));
  run.trace.garbage.push_back("b-0.jsonl:6");
  EXPECT_TRUE(Failed(Audit(run).verdicts, "can be read"));
}

TEST(AuditSamples, ARunningJobIsHeldToWhatItHasReached) {
  MadeUpRun run;
  run.records.pop_back();  // SUCCEEDED
  run.records.pop_back();  // the commit of the last step
  Remove(run, [](const TraceLine& line) { return line.step == 5; });
  const SampleAudit audit = Audit(run);
  EXPECT_EQ(audit.steps, 5);
  EXPECT_EQ(audit.lost, 0);
}

TEST(CheckCheckpointDigests, TakesTheFaultFreeChainOnly) {
  MadeUpRun run;
  const auto chain = Audit(run).chain;
  EXPECT_TRUE(CheckCheckpointDigests(run.History(), chain).ok());
  run.AddCommit(4, 2)->set_sample_digest(run.Chain(3));
  EXPECT_THAT(CheckCheckpointDigests(run.History(), chain).failures(),
              ElementsAre(HasSubstr("step 4 of generation 2 carries")));
}

TEST(CheckCheckpointDigests, RefusesACommitOfAFencedGeneration) {
  MadeUpRun run;
  run.AddCommit(4, 1);
  EXPECT_THAT(
      CheckCheckpointDigests(run.History(), Audit(run).chain).failures(),
      ElementsAre(HasSubstr("after generation 2 had started at step 3")));
}

TEST(ExplainSum, OfWhatNothingExplainsTheWholeShareIsLost) {
  const ShareDifference difference = ExplainSum({1, 2, 4}, 1'000'000);
  EXPECT_EQ(difference.lost, 3);
  EXPECT_EQ(difference.repeated, 0);
}

}  // namespace
}  // namespace lory::verify
