#include "tools/verify/sample_audit.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/data/sample_digest.h"

namespace lory::verify {
namespace {

using CountingLines = std::map<int64_t, std::vector<const TraceLine*>>;

std::string Short(const std::string& digest) {
  return absl::BytesToHexString(digest.substr(0, 8));
}

uint64_t Sum(const std::vector<uint64_t>& values) {
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

// Where a slot of the next generation's source stood in an earlier one.
bool HasMember(const lory::internal::v1::GenerationStarted& generation,
               const lory::v1::JobMember& member) {
  return std::any_of(generation.members().begin(), generation.members().end(),
                     [&](const auto& m) {
                       return m.worker() == member.worker() &&
                              m.slot() == member.slot();
                     });
}

// The last step a line of a fenced generation may have. A step needs all
// ranks, so no rank is more than one step ahead of another: of a generation
// whose member became the source of the next at `start_step`, one line for
// that step may exist (of a rank that applied it alone, and died), but none
// beyond. Without such a member nothing follows.
int64_t LastPossibleStep(const JobHistory& history,
                         const GenerationStart& start) {
  const int64_t end = history.spec().step_count() - 1;
  for (const GenerationStart& next : history.starts) {
    if (next.event.generation() <= start.event.generation()) continue;
    const int source = next.event.source_rank();
    if (source >= 0 && source < next.event.members_size() &&
        HasMember(start.event, next.event.members(source))) {
      return std::min<int64_t>(end, next.event.start_step());
    }
    return end;
  }
  return end;
}

Verdict CheckFences(const JobHistory& history, const Trace& trace) {
  Verdict verdict("no write by a fenced or unknown generation");
  for (const TraceLine& line : trace.lines) {
    const GenerationStart* start = history.StartOf(line.generation);
    const std::string what = absl::StrCat(line.Place(), ": step ", line.step,
                                          " of generation ", line.generation);
    if (start == nullptr) {
      verdict.Fail(absl::StrCat(what, ", which never started"));
    } else if (line.step < start->event.start_step()) {
      verdict.Fail(absl::StrCat(what, ", which started at step ",
                                start->event.start_step()));
    } else if (line.step > LastPossibleStep(history, *start)) {
      verdict.Fail(absl::StrCat(what, ", which may not pass step ",
                                LastPossibleStep(history, *start)));
    }
  }
  return verdict;
}

// The lines that count, by step; a rank that applied a step twice is a sample
// repeated.
CountingLines SelectLines(const JobHistory& history, const SampleGrid& grid,
                          const Trace& trace, Verdict& once,
                          SampleAudit& audit) {
  CountingLines counting;
  std::set<std::tuple<std::string, int64_t, int64_t>> seen;
  for (const TraceLine& line : trace.lines) {
    const GenerationStart* start = history.StartOf(line.generation);
    if (start == nullptr || line.step < start->event.start_step() ||
        line.step >= history.FencedFrom(line.generation) ||
        line.step >= grid.step_count) {
      continue;
    }
    counting[line.step].push_back(&line);
    if (!seen.emplace(line.file, line.generation, line.step).second) {
      once.Fail(absl::StrCat(line.Place(), ": step ", line.step,
                             " was applied twice in generation ",
                             line.generation));
      audit.repeated += grid.StepSequences();
    }
  }
  return counting;
}

Verdict CheckAgreement(const CountingLines& counting) {
  Verdict verdict("the trace lines of a step agree");
  for (const auto& [step, lines] : counting) {
    for (const TraceLine* line : lines) {
      if (!line->SaysTheSameAs(*lines.front())) {
        verdict.Fail(absl::StrCat("step ", step, ": ", line->Place(),
                                  " differs from ", lines.front()->Place()));
      }
    }
  }
  return verdict;
}

Verdict CheckEveryStep(const SampleGrid& grid, const CountingLines& counting,
                       int64_t steps, SampleAudit& audit) {
  Verdict verdict("every step has a trace line that counts");
  for (int64_t step = 0; step < steps; ++step) {
    if (counting.contains(step)) continue;
    verdict.Fail(absl::StrCat("step ", step, ": no line"));
    audit.lost += grid.StepSequences();
  }
  return verdict;
}

// Every rank's sum against that of its share.
void CheckShares(const SampleGrid& grid, const TraceLine& line, size_t world,
                 Verdict& verdict, SampleAudit& audit) {
  const std::string step = absl::StrCat("step ", line.step);
  const bool possible =
      line.sums.size() == world && line.shares.size() == world &&
      std::all_of(line.shares.begin(), line.shares.end(), [&](int64_t share) {
        return share >= 0 && share <= grid.micro_batches;
      });
  if (!possible) {
    verdict.Fail(absl::StrCat(step, ": ", line.sums.size(), " sums and shares ",
                              absl::StrJoin(line.shares, "+"),
                              " in a world of ", world));
    audit.lost += grid.StepSequences();
    return;
  }
  const int64_t taken =
      std::accumulate(line.shares.begin(), line.shares.end(), int64_t{0});
  if (taken != grid.micro_batches) {
    verdict.Fail(absl::StrCat(step, ": shares ",
                              absl::StrJoin(line.shares, "+"), " are not ",
                              grid.micro_batches, " micro-batches"));
    const int64_t missing =
        (grid.micro_batches - taken) * grid.micro_batch_sequences;
    (missing > 0 ? audit.lost : audit.repeated) += std::abs(missing);
  }
  // Right together means no sample is lost, whoever trained it.
  const bool whole =
      Sum(line.sums) == Sum(grid.Fingerprints(line.step, 0, taken));
  int64_t first = 0;
  for (size_t rank = 0; rank < world; ++rank) {
    const auto difference =
        ExplainSum(grid.Fingerprints(line.step, first, line.shares[rank]),
                   line.sums[rank]);
    first += line.shares[rank];
    if (difference.how.empty()) continue;
    verdict.Fail(absl::StrCat(
        step, ", rank ", rank, " of ", world, ": ",
        whole ? "not its share, though all ranks together are right"
              : difference.how));
    if (whole) continue;
    audit.lost += difference.lost;
    audit.repeated += difference.repeated;
  }
}

std::vector<std::string> FaultFreeChain(const SampleGrid& grid, int64_t steps) {
  std::vector<std::string> chain = {data::InitialDigest()};
  for (int64_t step = 0; step < steps; ++step) {
    chain.push_back(data::NextDigest(
        chain.back(), step,
        data::ExpectedFingerprintSum(grid.seed, grid.sequence_count, step,
                                     grid.StepSequences())));
  }
  return chain;
}

Verdict CheckChain(const CountingLines& counting,
                   const std::vector<std::string>& chain) {
  Verdict verdict("the sample chain is that of a run without faults");
  for (const auto& [step, lines] : counting) {
    const std::string& expected = chain[step + 1];
    if (lines.front()->digest == expected) continue;
    // Every later link differs too: the first says where it broke.
    verdict.Fail(absl::StrCat(
        "from step ", step, " on: ", Short(lines.front()->digest), ".. in ",
        lines.front()->Place(), ", want ", Short(expected), ".."));
    break;
  }
  return verdict;
}

// Steps that must be proved: all of a job that succeeded, else those that a
// line or a checkpoint speaks of.
int64_t StepsToProve(const JobHistory& history, const SampleGrid& grid,
                     const CountingLines& counting) {
  if (history.state() == lory::v1::Job::SUCCEEDED) return grid.step_count;
  int64_t steps = counting.empty() ? 0 : counting.rbegin()->first + 1;
  for (const auto& [step, checkpoint] : history.CommittedAt()) {
    steps = std::max(steps, step);
  }
  return std::min(steps, grid.step_count);
}

Verdict CheckReadable(const Trace& trace) {
  Verdict verdict("the trace can be read");
  for (const std::string& place : trace.garbage) {
    verdict.Fail(absl::StrCat(place, " is no trace line"));
  }
  for (const std::string& place : trace.torn) {
    verdict.Note(absl::StrCat(place, " was cut off by its writer's end"));
  }
  return verdict;
}

}  // namespace

SampleAudit AuditSamples(const JobHistory& history, const SampleGrid& grid,
                         const Trace& trace) {
  SampleAudit audit;
  Verdict once("every sample of every step was trained exactly once");
  const CountingLines counting = SelectLines(history, grid, trace, once, audit);
  audit.steps = StepsToProve(history, grid, counting);
  int64_t links = audit.steps;
  for (const CheckpointCommit& commit : history.commits) {
    links = std::max<int64_t>(links, commit.checkpoint.step());
  }
  audit.chain = FaultFreeChain(grid, std::min(links, grid.step_count));
  audit.verdicts.push_back(CheckReadable(trace));
  audit.verdicts.push_back(CheckFences(history, trace));
  audit.verdicts.push_back(CheckEveryStep(grid, counting, audit.steps, audit));
  audit.verdicts.push_back(CheckAgreement(counting));
  for (const auto& [step, lines] : counting) {
    const GenerationStart* start = history.StartOf(lines.front()->generation);
    CheckShares(grid, *lines.front(), start->event.members_size(), once, audit);
  }
  audit.verdicts.push_back(std::move(once));
  audit.verdicts.push_back(CheckChain(counting, audit.chain));
  return audit;
}

Verdict CheckCheckpointDigests(const JobHistory& history,
                               const std::vector<std::string>& chain) {
  Verdict verdict("every committed checkpoint carries the chain's digest");
  for (const CheckpointCommit& commit : history.commits) {
    const auto& checkpoint = commit.checkpoint;
    const std::string name = absl::StrCat(
        "step ", checkpoint.step(), " of generation ", checkpoint.generation());
    if (checkpoint.step() < 0 ||
        checkpoint.step() >= static_cast<int64_t>(chain.size())) {
      verdict.Fail(absl::StrCat(name, " is not a step of the job"));
    } else if (checkpoint.sample_digest() != chain[checkpoint.step()]) {
      verdict.Fail(absl::StrCat(name, " carries ",
                                Short(checkpoint.sample_digest()), "..; want ",
                                Short(chain[checkpoint.step()]), ".."));
    }
    for (const GenerationStart& start : history.starts) {
      if (start.event.generation() > checkpoint.generation() &&
          start.at < commit.at &&
          start.event.start_step() < checkpoint.step()) {
        verdict.Fail(absl::StrCat(
            name, " was committed after generation ", start.event.generation(),
            " had started at step ", start.event.start_step()));
      }
    }
  }
  return verdict;
}

}  // namespace lory::verify
