#include "coordinator/state/job_state.h"

#include <algorithm>

namespace lory::coordinator {
namespace {

using ::lory::v1::Job;

constexpr JobTransition kTransitions[] = {
    {Job::QUEUED, Job::STARTING, "its slots are free"},
    {Job::QUEUED, Job::PAUSED, "pause"},
    {Job::QUEUED, Job::CANCELLED, "cancel"},
    {Job::STARTING, Job::RUNNING, "a step is applied"},
    {Job::STARTING, Job::RECOVERING, "a member of its generation is lost"},
    {Job::STARTING, Job::QUEUED, "too few trainers are left to start"},
    {Job::STARTING, Job::PAUSING, "pause, after a generation started"},
    {Job::STARTING, Job::PAUSED, "pause, before a generation started"},
    {Job::STARTING, Job::CANCELLING, "cancel"},
    {Job::STARTING, Job::FAILED, "an error that would come again"},
    {Job::RUNNING, Job::RECOVERING, "a member is lost"},
    {Job::RUNNING, Job::QUEUED, "its slots are needed elsewhere"},
    {Job::RUNNING, Job::PAUSING, "pause"},
    {Job::RUNNING, Job::CANCELLING, "cancel"},
    {Job::RUNNING, Job::SUCCEEDED, "the last checkpoint is committed"},
    {Job::RUNNING, Job::FAILED, "an error that would come again"},
    {Job::RECOVERING, Job::RUNNING, "a step is applied again"},
    {Job::RECOVERING, Job::QUEUED, "its slots are needed elsewhere"},
    {Job::RECOVERING, Job::PAUSING, "pause"},
    {Job::RECOVERING, Job::CANCELLING, "cancel"},
    {Job::RECOVERING, Job::SUCCEEDED, "the last checkpoint is committed"},
    {Job::RECOVERING, Job::FAILED, "an error that would come again"},
    {Job::PAUSING, Job::PAUSED, "the checkpoint is committed"},
    {Job::PAUSING, Job::CANCELLING, "cancel"},
    {Job::PAUSING, Job::SUCCEEDED, "the last step was applied first"},
    {Job::PAUSING, Job::FAILED, "an error that would come again"},
    {Job::PAUSED, Job::QUEUED, "resume"},
    {Job::PAUSED, Job::CANCELLED, "cancel"},
    {Job::CANCELLING, Job::CANCELLED, "its trainers are gone"},
    {Job::CANCELLED, Job::QUEUED, "resume, with a checkpoint"},
    {Job::FAILED, Job::QUEUED, "resume, once what it failed of is mended"},
};

}  // namespace

std::span<const JobTransition> JobTransitions() { return kTransitions; }

bool TransitionAllowed(Job::State from, Job::State to) {
  return std::any_of(
      std::begin(kTransitions), std::end(kTransitions),
      [&](const JobTransition& t) { return t.from == from && t.to == to; });
}

bool IsFinal(Job::State state) {
  return state == Job::SUCCEEDED || state == Job::CANCELLED ||
         state == Job::FAILED;
}

bool HoldsSlots(Job::State state) {
  return state == Job::STARTING || state == Job::RUNNING ||
         state == Job::RECOVERING || state == Job::PAUSING;
}

bool IsEvaluation(const lory::v1::JobSpec& spec) {
  return spec.kind() == lory::v1::JobSpec::EVALUATE;
}

}  // namespace lory::coordinator
