#include "worker/train/app.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/io/storage.h"
#include "worker/collective/ring_transport.h"
#include "worker/device/cpu.h"
#include "worker/train/control_board.h"
#include "worker/train/control_client.h"
#include "worker/train/trainer.h"

namespace lory::train {
namespace {

using ::lory::v1::TrainerStatus;

// After an error the report must reach the daemon before the process ends,
// even one that is reconnecting. The daemon usually ends it earlier.
constexpr absl::Duration kLastWords = absl::Seconds(5);

TrainerStatus FirstStatus(const Flags& flags) {
  TrainerStatus status;
  status.set_job(flags.job);
  status.set_slot(flags.slot);
  status.set_incarnation(flags.incarnation);
  status.set_phase(TrainerStatus::STARTING);
  status.set_applied_step(-1);
  status.set_failed_rank(-1);
  status.set_process_id(getpid());
  return status;
}

}  // namespace

int RunTrainer(const Flags& flags) {
  SetLogOptions(LogLevel::kInfo,
                flags.json_log ? LogFormat::kJson : LogFormat::kText);
  SetLogContext({{"job", flags.job}, {"slot", flags.slot}});
  if (flags.device != "cpu") {
    Log(LogLevel::kError, "this build trains on the CPU only; use --device cpu",
        {{"device", flags.device}});
    return 2;
  }
  lory::device::SetUpCpu({.thread_count = flags.threads});

  Clock& clock = RealClock();
  ControlBoard board(FirstStatus(flags));
  const auto client = ControlClient::Start(flags.socket, board, clock);
  if (!client.ok()) {
    Log(LogLevel::kError, "cannot reach the daemon",
        {{"socket", flags.socket}, {"reason", client.status().message()}});
    return 2;
  }
  lory::collective::RingTransport transport(flags.listen_host);
  Trainer trainer(absl::StrCat(flags.worker, "-", flags.slot), board, transport,
                  lory::io::LocalStorage(), clock);
  Log(LogLevel::kInfo, "trainer started", {{"pid", getpid()}});
  if (trainer.Run().ok()) return 0;
  clock.SleepFor(kLastWords);
  return 1;
}

}  // namespace lory::train
