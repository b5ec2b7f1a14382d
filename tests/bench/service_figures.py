"""Figures of the running service, measured from outside.

    tests/bench/service_figures.py --bin build/release/bin [--kills 5]

Prints one line a figure: name, median, minimum, maximum, unit, runs. Times are
wall-clock on this machine; say which when you quote them.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/quickstart"))
sys.path.insert(0, str(ROOT / "tests/integration"))

import service_test  # noqa: E402
from service import Service, applied_steps, kill_process, wait_until  # noqa: E402

JOB = "figures"


def show(name, values, unit):
    print(f"{name:<44}{statistics.median(values):10.3f}{min(values):10.3f}"
          f"{max(values):10.3f}  {unit}  n={len(values)}", flush=True)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def newest(folder):
    steps = list(applied_steps(folder))
    return max(g for _, g in steps), max(s for s, _ in steps)


def gap_after(folder, action, newer_generation):
    """Seconds from `action` until the next step that counts as going on."""
    generation, step = newest(folder)
    start = time.monotonic()
    action()
    if newer_generation:
        going = lambda: newest(folder)[0] > generation  # noqa: E731
    else:
        going = lambda: newest(folder)[1] > step  # noqa: E731
    wait_until(going, "training to go on", 60, interval=0.01)
    return time.monotonic() - start


def loryctl_start(binaries):
    times = []
    for _ in range(20):
        start = time.monotonic()
        subprocess.run([binaries / "loryctl", "version"], check=True,
                       stdout=subprocess.DEVNULL)
        times.append(1000 * (time.monotonic() - start))
    show("loryctl start", times, "ms")


def both_train(service):
    """Two members, and their generation has applied steps: while one is being
    prepared nobody trains, and a kill would measure something else."""
    job = service.job(JOB)
    if job["state"] != "RUNNING" or len(job["members"]) != 2:
        return False
    steps = applied_steps(service.job_folder(JOB))
    return any(g == int(job["generation"]) for _, g in steps)


def submit_to_first_step(service, settings):
    times = []
    for i in range(3):
        name = f"start-{i}"
        start = time.monotonic()
        service.ctl("job", "submit", "-f", ROOT / "tests/integration/job.yaml",
                    "--name", name, *settings)
        folder = service.job_folder(name)
        wait_until(lambda f=folder: any(True for _ in applied_steps(f)),
                   "the first step", 60, interval=0.02)
        times.append(time.monotonic() - start)
        service.ctl("job", "cancel", name)
        wait_until(lambda n=name: service.job(n)["state"] == "CANCELLED",
                   "the cancel", 30)
    show("submit to first step", times, "s")


def kill_gaps(service, kills):
    folder = service.job_folder(JOB)
    trainer, daemon, coordinator = [], [], []
    for _ in range(kills):
        wait_until(lambda: both_train(service), "two members", 90)
        pid = service.trainer_pid("worker-b")
        trainer.append(gap_after(folder, lambda p=pid: kill_process(p), True))
    show("kill -9 of a trainer to next step", trainer, "s")
    for _ in range(kills):
        wait_until(lambda: both_train(service), "two members", 90)
        daemon.append(gap_after(folder, service.workers["worker-b"].kill, True))
        service.start_worker("worker-b")
    show("kill -9 of a daemon to next step", daemon, "s")
    for _ in range(kills):
        wait_until(lambda: both_train(service), "two members", 90)
        coordinator.append(gap_after(folder, service.coordinator.kill, False))
        service.start_coordinator()
    show("kill -9 of the coordinator to next step", coordinator, "s")


def coordinator_cost(service, seconds=20):
    wait_until(lambda: both_train(service), "two members", 90)
    pid = service.coordinator.handle.pid
    before, start = cpu_seconds(pid), time.monotonic()
    _, first = newest(service.job_folder(JOB))
    wait_until(lambda: time.monotonic() - start > seconds, "the window",
               2 * seconds, interval=0.5)
    percent = 100 * (cpu_seconds(pid) - before) / (time.monotonic() - start)
    show("coordinator processor time, two workers", [percent], "% of a core")
    show("coordinator resident memory", [resident_megabytes(pid)], "MB")


def checkpoint_stall(service):
    """Mean stall of one checkpoint over 50 median steps."""
    path = service.job_folder(JOB) / "metrics/steps.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    steps = [row["step_seconds"] for row in rows]
    stalls = [row["checkpoint_seconds"] for row in rows
              if row.get("checkpoint_seconds", 0) > 0]
    median = statistics.median(steps)
    show("step", [1000 * s for s in steps], "ms")
    if stalls:
        show("checkpoint stall", [1000 * s for s in stalls], "ms")
        show("stall share at one checkpoint in 50 steps",
             [100 * s / (50 * median) for s in stalls], "%")


def audit(service, binaries):
    answer = subprocess.run(
        [binaries / "lory-verify", "run", "--journal", service.folder / "state",
         "--storage-root", service.storage, "--job", f"jobs/{JOB}"],
        capture_output=True, text=True, check=False)
    print(answer.stdout, end="")
    return answer.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    binaries = Path(options.bin).resolve()
    service_test.BIN = binaries
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"{'figure':<44}{'median':>10}{'min':>10}{'max':>10}")
    with tempfile.TemporaryDirectory(prefix="lory-figures-") as name:
        folder = Path(name)
        dataset = service_test.make_dataset(folder)
        with Service(binaries, folder / "run", [folder]) as service:
            service.start_coordinator()
            for worker in ("worker-a", "worker-b"):
                service.start_worker(worker)
            service.ctl("dataset", "register", "demo", dataset / "manifest.json")
            loryctl_start(binaries)
            submit_to_first_step(service, [])
            service.ctl("job", "submit", "-f",
                        ROOT / "tests/integration/job.yaml", "--name", JOB,
                        "--set", "steps=100000", "--set",
                        "checkpoint.every_steps=50")
            wait_until(lambda: both_train(service) and any(
                True for _ in applied_steps(service.job_folder(JOB))),
                "both to train", 60)
            coordinator_cost(service)
            kill_gaps(service, options.kills)
            checkpoint_stall(service)
            service.ctl("job", "pause", JOB)
            wait_until(lambda: service.job(JOB)["state"] == "PAUSED", "the pause",
                       60)
            sys.exit(audit(service, binaries))


if __name__ == "__main__":
    main()
