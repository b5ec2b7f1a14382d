"""A whole service on this machine: coordinator, workers and loryctl.

Used by the quickstart and by the integration tests. Every port is chosen by
the system; addresses come from the ready files the programs write.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path


class ServiceError(Exception):
    """Something of the service is not as it must be; the text is for people."""


def wait_until(condition, what, seconds, interval=0.05):
    """Returns condition()'s first true value; ServiceError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise ServiceError(f"waited {seconds} s in vain for {what}")
        time.sleep(interval)


class Process:
    """One program, its log and its ready file."""

    def __init__(self, name, command, folder):
        self.name = name
        self.log_path = folder / f"{name}.log"
        self.ready_path = folder / f"{name}.ready.json"
        self.ready_path.unlink(missing_ok=True)
        self.command = [str(part) for part in command]
        self.command += ["--ready-file", str(self.ready_path)]
        self.handle = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.handle = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        def ready():
            if self.handle.poll() is not None:
                raise ServiceError(
                    f"{self.name} ended with {self.handle.returncode}; last "
                    f"lines of {self.log_path}:\n{self.log_tail()}")
            return self.ready_path.exists()

        wait_until(ready, f"{self.name} to be ready ({self.log_path})", 20)
        return json.loads(self.ready_path.read_text())

    def log_tail(self, lines=8):
        return "\n".join(
            self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def alive(self):
        return self.handle is not None and self.handle.poll() is None

    def kill(self):
        """kill -9: no goodbye."""
        self.handle.send_signal(signal.SIGKILL)
        self.handle.wait()

    def stop(self, seconds=15):
        if not self.alive():
            return
        self.handle.terminate()
        try:
            self.handle.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()


class Service:
    """Coordinator and workers under one folder. Use as a context manager."""

    def __init__(self, binaries, folder, data_roots, coordinator_flags=(),
                 worker_flags=()):
        self.binaries = Path(binaries).resolve()
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.storage = self.folder / "storage"
        self.storage.mkdir(exist_ok=True)
        self.data_roots = [Path(root).resolve() for root in data_roots]
        self.coordinator_flags = list(coordinator_flags)
        self.worker_flags = list(worker_flags)
        self.ctl_flags = []
        self.coordinator = None
        self.address = None
        self.http = None
        self.workers = {}
        self.worker_info = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def roots(self):
        flags = ["--storage-root", self.storage]
        for root in self.data_roots:
            flags += ["--data-root", root]
        return flags

    def start_coordinator(self):
        """Starts it, or starts it again on the address it had."""
        self.coordinator = Process("coordinator", [
            self.binaries / "lory-coordinator",
            "--listen", self.address or "127.0.0.1:0",
            "--http", self.http or "127.0.0.1:0",
            "--state", self.folder / "state",
        ] + self.roots() + self.coordinator_flags, self.folder)
        ready = self.coordinator.start()
        self.address, self.http = ready["grpc"], ready["http"]

    def start_worker(self, name, slots=1, threads=1):
        worker = Process(name, [
            self.binaries / "lory-worker", "--coordinator", self.address,
            "--name", name, "--slots", str(slots), "--threads", str(threads),
            "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
            "--work", self.folder / name,
        ] + self.roots() + self.worker_flags, self.folder)
        self.workers[name] = worker
        self.worker_info[name] = worker.start()

    def stop(self):
        for worker in self.workers.values():
            worker.stop()
        if self.coordinator:
            self.coordinator.stop()

    def ctl(self, *arguments, check=True):
        """Runs loryctl; returns its standard output."""
        command = [str(self.binaries / "loryctl"), "--server", self.address]
        command += [str(argument) for argument in [*self.ctl_flags, *arguments]]
        result = subprocess.run(command, capture_output=True, text=True,
                                timeout=60)
        if check and result.returncode != 0:
            raise ServiceError(f"{' '.join(command)} ended with "
                               f"{result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "-o", "json"))

    def job(self, name):
        return self.json("job", "get", name)

    def trainer_pid(self, worker):
        """Process id of the worker's trainer in its first slot; None: none."""
        listed = self.json("worker", "get", worker)
        for trainer in listed.get("trainers", []):
            if trainer.get("phase") != "EXITED" and trainer.get("process_id"):
                return int(trainer["process_id"])
        return None

    def job_folder(self, name):
        return self.storage / "jobs" / name


def applied_steps(job_folder):
    """Steps applied in the job's traces, with the trace's generation.

    Yields (step, generation) of every line of every rank.
    """
    for path in sorted((Path(job_folder) / "trace").glob("*.jsonl")):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    record = json.loads(line)
                    yield record["step"], record["generation"]


def kill_process(pid):
    os.kill(pid, signal.SIGKILL)
