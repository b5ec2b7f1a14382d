#include "tools/loryctl/state_color.h"

namespace lory::ctl {

using ::lory::v1::Checkpoint;
using ::lory::v1::Dataset;
using ::lory::v1::Job;
using ::lory::v1::Worker;

Color ColorOf(Job::State state) {
  switch (state) {
    case Job::RUNNING:
    case Job::SUCCEEDED:
      return Color::kGood;
    case Job::STARTING:
    case Job::RECOVERING:
    case Job::PAUSING:
    case Job::CANCELLING:
      return Color::kWarn;
    case Job::FAILED:
      return Color::kBad;
    case Job::CANCELLED:
    case Job::PAUSED:
      return Color::kFaint;
    default:
      return Color::kPlain;
  }
}

Color ColorOf(Worker::State state) {
  switch (state) {
    case Worker::READY:
      return Color::kGood;
    case Worker::DRAINING:
      return Color::kWarn;
    case Worker::LOST:
      return Color::kBad;
    default:
      return Color::kFaint;
  }
}

Color ColorOf(Dataset::State state) {
  return state == Dataset::READY ? Color::kGood : Color::kBad;
}

Color ColorOf(Checkpoint::State state) {
  switch (state) {
    case Checkpoint::COMMITTED:
      return Color::kGood;
    case Checkpoint::WRITING:
      return Color::kWarn;
    case Checkpoint::DAMAGED:
      return Color::kBad;
    default:
      return Color::kFaint;
  }
}

}  // namespace lory::ctl
