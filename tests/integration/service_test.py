"""The whole service with real trainers: what happens when things die.

Run by ./check, stage service; by hand:
service_test.py --bin build/dev/bin [test names].
Each test has its own coordinator and workers; all share one small dataset of
real text.
"""

import argparse
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/quickstart"))

from service import (Service, ServiceError, applied_steps, kill_process,  # noqa: E402
                     wait_until)

HERE = Path(__file__).resolve().parent
BIN = ROOT / "build/dev/bin"
DATA = None  # folder of the shared dataset

# Every variant of the feed-forward, as a job file has it.
VARIANTS = {
    "dense": "dense: {}",
    "lory": "lory: {expert_count: 4, segment_length: 16, "
            "first_segment: learned}",
    "prefix-routing": "prefix_routing: {expert_count: 4, segment_length: 16}",
    "token-choice": "token_choice: {expert_count: 4, balance: megatron, "
                    "z_loss_coefficient: 1e-3}",
    "expert-choice": "expert_choice: {expert_count: 4, capacity_factor: 2}",
    "segment-choice": "expert_choice: {expert_count: 4, level: segment, "
                      "segment_length: 16}",
    "smear": "smear: {expert_count: 4, pool_length: 16}",
    "soft-moe": "soft_moe: {expert_count: 4, slots_per_expert: 8, "
                "allow_noncausal: true}",
    "weight-ensembling": "weight_ensembling: {expert_count: 4, "
                         "pool_length: 16}",
}


def make_dataset(folder):
    """A dataset of about two megabytes of real text, in half a minute."""
    text = folder / "text.jsonl"
    subprocess.run([ROOT / "tools/demo_corpus", "--out", text,
                    "--max-mb", "2"], check=True, stdout=subprocess.DEVNULL)
    # Paths in a corpus.yaml are taken from its own folder.
    shutil.copy(HERE / "corpus.yaml", folder / "corpus.yaml")
    subprocess.run([BIN / "lory-corpus", "build", folder / "corpus.yaml"],
                   check=True, stderr=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    return folder / "dataset"


def run(line):
    return subprocess.run(line, capture_output=True, text=True, check=False,
                          timeout=60)


class ServiceTest(unittest.TestCase):
    """One running service a test; its folder stays when the test fails."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lory-service-"))
        self.service = Service(BIN, self.folder, [DATA, self.folder])

    def tearDown(self):
        self.service.stop()

    def run(self, result=None):
        result = result or self.defaultTestResult()
        failed_before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > failed_before:
            print(f"kept for a look: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        return result

    def start(self, *workers):
        self.service.start_coordinator()
        for worker in workers:
            self.service.start_worker(worker)
        self.service.ctl("dataset", "register", "demo",
                         DATA / "dataset/manifest.json")

    def submit(self, name, *settings):
        arguments = ["job", "submit", "-f", HERE / "job.yaml", "--name", name]
        for setting in settings:
            arguments += ["--set", setting]
        self.service.ctl(*arguments)

    def step(self, name):
        return int(self.service.job(name).get("progress", {}).get("step", 0))

    def wait_step(self, name, step, seconds=90):
        wait_until(lambda: self.step(name) >= step, f"step {step} of {name}",
                   seconds)

    def wait_state(self, name, state, seconds=180):
        def reached():
            job = self.service.job(name)
            if job["state"] == "FAILED" and state != "FAILED":
                raise ServiceError(f"{name} FAILED: {job.get('reason')}")
            return job if job["state"] == state else None
        return wait_until(reached, f"{name} to be {state}", seconds)

    def seconds_to_next_generation_step(self, name, action):
        """Runs `action`; seconds until a newer generation applies a step."""
        folder = self.service.job_folder(name)
        before = max(g for _, g in applied_steps(folder))
        start = time.monotonic()
        action()
        wait_until(lambda: any(g > before for _, g in applied_steps(folder)),
                   "a step of a newer generation", 60, interval=0.02)
        return time.monotonic() - start

    def verify(self, name):
        """lory-verify finds nothing; returns its findings."""
        result = run([BIN / "lory-verify", "run", "--journal",
                      self.service.folder / "state", "--storage-root",
                      self.service.storage, "--job", f"jobs/{name}", "-o",
                      "json"])
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        findings = json.loads(result.stdout)
        self.assertEqual(findings["samples_lost"], 0)
        self.assertEqual(findings["samples_repeated"], 0)
        return findings

    # ---- what happens when things die ----

    def test_a_killed_trainer_costs_seconds_and_no_sample(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        self.wait_step("run", 10)
        survivor = self.service.trainer_pid("worker-a")
        victim = self.service.trainer_pid("worker-b")
        seconds = self.seconds_to_next_generation_step(
            "run", lambda: kill_process(victim))
        self.assertLess(seconds, 10)
        self.assertEqual(self.service.trainer_pid("worker-a"), survivor,
                         "the survivor keeps its process")
        self.wait_state("run", "SUCCEEDED")
        self.assertGreater(self.verify("run")["recoveries"], 0)

    def test_a_killed_daemon_takes_its_trainer_and_is_replaced(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        self.wait_step("run", 10)
        trainer = self.service.trainer_pid("worker-b")
        seconds = self.seconds_to_next_generation_step(
            "run", self.service.workers["worker-b"].kill)
        self.assertLess(seconds, 10)
        wait_until(lambda: not Path(f"/proc/{trainer}").exists(),
                   "the orphan to end", 5)
        self.service.start_worker("worker-b")
        wait_until(lambda: len(self.service.job("run")["members"]) == 2,
                   "worker-b to be taken in again", 60)
        self.wait_state("run", "SUCCEEDED")
        self.verify("run")

    def test_a_killed_coordinator_stops_nobody(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        self.wait_step("run", 10)
        workers = ("worker-a", "worker-b")
        pids = [self.service.trainer_pid(worker) for worker in workers]
        self.assertTrue(all(pids), pids)
        generation = self.service.job("run")["generation"]
        self.service.coordinator.kill()
        folder = self.service.job_folder("run")
        at_kill = max(step for step, _ in applied_steps(folder))
        wait_until(lambda: max(s for s, _ in applied_steps(folder)) > at_kill + 2,
                   "steps without a coordinator", 30)
        self.service.start_coordinator()

        def reported():
            try:
                now = [self.service.trainer_pid(worker) for worker in workers]
            except ServiceError:
                return None  # a worker has not attended yet
            return now if all(now) else None

        self.assertEqual(wait_until(reported, "both trainers to be told of", 30,
                                    interval=0.02), pids)
        self.wait_state("run", "SUCCEEDED")
        job = self.service.job("run")
        self.assertEqual(job["generation"], generation)
        self.verify("run")

    def test_a_joiner_is_taken_in_and_a_drained_worker_let_out(self):
        self.start("worker-a")
        self.submit("run", "steps=120")
        self.wait_step("run", 5)
        self.service.start_worker("worker-b")
        wait_until(lambda: len(self.service.job("run")["members"]) == 2,
                   "the joiner to be taken in", 90)
        self.service.ctl("worker", "drain", "worker-a")
        wait_until(lambda: [m["worker"] for m in self.service.job("run")["members"]]
                   == ["workers/worker-b"], "worker-a to be let out", 60)
        self.wait_state("run", "SUCCEEDED")
        self.verify("run")

    def test_everything_killed_resumes_from_the_checkpoint(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        wait_until(lambda: int(self.service.job("run").get("checkpoint_step", -1))
                   > 0, "a committed checkpoint", 90)
        for process in [self.service.coordinator,
                        *self.service.workers.values()]:
            process.kill()
        self.service.start_coordinator()
        for worker in ("worker-a", "worker-b"):
            self.service.start_worker(worker)
        self.wait_state("run", "SUCCEEDED")
        self.verify("run")

    # ---- what people do ----

    def test_pause_and_resume_on_another_world(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        self.wait_step("run", 10)
        self.service.ctl("job", "pause", "run")
        paused = self.wait_state("run", "PAUSED")
        self.assertGreaterEqual(int(paused["checkpoint_step"]), 10)
        self.service.workers["worker-b"].stop()
        self.service.ctl("job", "resume", "run")
        self.wait_state("run", "SUCCEEDED")
        self.verify("run")

    def test_cancel_frees_the_slots_for_the_next_in_the_queue(self):
        self.start("worker-a")
        self.submit("first", "steps=5000")
        self.submit("second", "steps=20")
        self.wait_step("first", 2)
        self.assertEqual(self.service.job("second")["state"], "QUEUED")
        explained = self.service.ctl("job", "explain", "second")
        self.assertIn("first", explained)
        self.service.ctl("job", "cancel", "first")
        self.wait_state("first", "CANCELLED", 30)
        self.wait_state("second", "SUCCEEDED")

    def test_the_final_weights_evaluate_below_the_unigram_entropy(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        job = self.wait_state("run", "SUCCEEDED")
        overall = job["progress"]["evaluation"]["overall"]
        self.assertLess(overall["loss"], overall["unigram_entropy"])
        names = [d["domain"] for d in job["progress"]["evaluation"]["domains"]]
        self.assertGreaterEqual(len(names), 6)

    def test_every_variant_learns_and_goes_on_from_its_checkpoint(self):
        self.start("worker-a")
        for name, variant in VARIANTS.items():
            with self.subTest(variant):
                self.submit(name, "steps=30", "max_workers=1",
                            "evaluation.sequences_per_domain=2",
                            f"model.feed_forward={{{variant}}}")
                self.wait_step(name, 10)
                self.service.ctl("job", "pause", name)
                paused = self.wait_state(name, "PAUSED")
                self.assertGreaterEqual(int(paused["checkpoint_step"]), 10)
                self.service.ctl("job", "resume", name)
                job = self.wait_state(name, "SUCCEEDED")
                self.assertEqual(int(job["checkpoint_step"]), 30)
                self.verify(name)
                path = self.service.job_folder(name) / "metrics/steps.jsonl"
                rows = [json.loads(line)
                        for line in path.read_text().splitlines()]
                self.assertEqual([row["step"] for row in rows],
                                 list(range(1, 31)))
                losses = [row["loss"] for row in rows]
                self.assertLess(sum(losses[-5:]) / 5, losses[0] - 0.5)
                self.assertEqual(rows[-1]["auxiliary_loss"] > 0,
                                 name == "token-choice")
                for layer in job["progress"].get("routing", []):
                    self.assertGreaterEqual(layer["load_ratio"], 1)

    # ---- bad days of the disk ----

    def copy_of_dataset(self, name):
        """A copy of the dataset, registered as `name`; its folder."""
        folder = self.folder / name
        shutil.copytree(DATA / "dataset", folder)
        self.service.ctl("dataset", "register", name, folder / "manifest.json")
        return folder

    def test_a_damaged_shard_fails_the_job_with_its_name(self):
        self.start("worker-a")
        shard = next(self.copy_of_dataset("damaged").glob("train-*.bin"))
        with open(shard, "r+b") as data:
            data.seek(shard.stat().st_size // 2)
            byte = data.read(1)
            data.seek(-1, os.SEEK_CUR)
            data.write(bytes([byte[0] ^ 4]))
        self.submit("run", "dataset=damaged")
        job = self.wait_state("run", "FAILED", 60)
        self.assertEqual(list(applied_steps(self.service.job_folder("run"))), [])
        for text in (job["reason"], self.service.ctl("job", "explain", "run")):
            self.assertIn(str(shard), text)
            self.assertIn(f"lory-corpus verify {shard.parent}", text)

    def test_a_full_disk_costs_checkpoints_and_nothing_else(self):
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs",
             self.service.storage], capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("may not mount a small file system")
        self.addCleanup(subprocess.run,
                        ["umount", "-l", self.service.storage], check=False)
        self.start("worker-a", "worker-b")
        self.submit("run", "steps=120")
        wait_until(lambda: int(self.service.job("run").get("checkpoint_step", -1))
                   > 0, "a committed checkpoint", 90)
        committed = int(self.service.job("run")["checkpoint_step"])
        ballast = self.service.storage / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
        wait_until(lambda: "No space left on device"
                   in self.service.job("run")["reason"], "the complaint", 60)
        self.assertIn("the one before stays",
                      self.service.ctl("job", "explain", "run"))
        self.wait_step("run", 120)
        job = self.service.job("run")
        self.assertEqual(job["state"], "RUNNING", "the last one must be written")
        self.assertEqual(int(job["checkpoint_step"]), committed)
        ballast.unlink()
        job = self.wait_state("run", "SUCCEEDED")
        self.assertEqual(int(job["checkpoint_step"]), 120)
        self.verify("run")

    def test_a_moved_dataset_is_registered_where_it_is_now(self):
        self.start("worker-a")
        folder = self.copy_of_dataset("moved")
        folder.rename(self.folder / "elsewhere")
        self.submit("run", "dataset=moved")
        job = self.wait_state("run", "FAILED", 60)
        self.assertIn(str(folder), job["reason"])
        self.assertIn("loryctl dataset register moved", job["reason"])
        self.service.ctl("dataset", "register", "moved",
                         self.folder / "elsewhere/manifest.json")
        self.submit("again", "dataset=moved", "steps=10")
        self.wait_state("again", "SUCCEEDED")

    def damage_newest_part(self, name):
        """Flips a bit of the part written last; its path."""
        newest = sorted((self.service.job_folder(name) / "checkpoints").glob(
            "step-*/part-*.safetensors"), key=os.path.getmtime)[-1]
        with open(newest, "r+b") as part:
            part.seek(-3, os.SEEK_END)
            byte = part.read(1)
            part.seek(-3, os.SEEK_END)
            part.write(bytes([byte[0] ^ 1]))
        return newest

    def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        self.wait_step("run", 30)
        self.service.ctl("job", "pause", "run")
        paused = int(self.wait_state("run", "PAUSED")["checkpoint_step"])
        damaged = self.damage_newest_part("run")
        self.assertIn(f"step-{paused}.", damaged.parent.name)
        self.service.ctl("job", "resume", "run")
        self.wait_state("run", "SUCCEEDED")
        timeline = self.service.ctl("job", "timeline", "run")
        self.assertIn(f"checkpoint of step {paused} is DAMAGED: {damaged.name}",
                      timeline)
        self.assertIn("start at step 25 from the checkpoint of step 25", timeline)
        notes = [note for invariant in self.verify("run")["invariants"]
                 for note in invariant["notes"]]
        self.assertTrue(any(f"step {paused} was found damaged: {damaged.name}"
                            in note for note in notes), notes)

    def test_a_damaged_checkpoint_is_named_on_request(self):
        self.start("worker-a")
        self.submit("run")
        self.wait_state("run", "SUCCEEDED")
        newest = self.damage_newest_part("run")
        step = self.service.job("run")["checkpoint_step"]
        answer = run([BIN / "loryctl", "--server", self.service.address,
                      "checkpoint", "verify", f"jobs/run/checkpoints/{step}"])
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn(newest.name, answer.stdout + answer.stderr)

    # ---- who may take part ----

    def test_with_certificates_a_job_succeeds_and_strangers_are_refused(self):
        folder = self.folder / "certs"

        def certs(*arguments):
            run([BIN / "loryctl", "certs", *arguments]).check_returncode()

        def flags(name):
            return ["--tls-ca", folder / "ca.pem",
                    "--tls-cert", folder / f"{name}.pem",
                    "--tls-key", folder / f"{name}.key"]

        certs("init", folder)
        for name in ("coordinator", "worker", "alice"):
            certs("issue", folder, "--name", name)
        self.service.coordinator_flags = flags("coordinator")
        self.service.worker_flags = flags("worker")
        self.service.ctl_flags = flags("alice")
        self.start("worker-a", "worker-b")
        self.submit("run", "steps=40")
        self.wait_state("run", "SUCCEEDED")
        self.verify("run")

        # Nobody, and somebody whom another authority knows.
        certs("init", self.folder / "foreign")
        certs("issue", self.folder / "foreign", "--name", "mallory")
        mallory = ["--tls-ca", folder / "ca.pem",
                   "--tls-cert", self.folder / "foreign/mallory.pem",
                   "--tls-key", self.folder / "foreign/mallory.key"]
        for known in ([], mallory):
            answer = run([BIN / "loryctl", "--server", self.service.address,
                          *known, "job", "list"])
            self.assertNotEqual(answer.returncode, 0)
            self.assertEqual(answer.stdout, "")

    def test_a_second_coordinator_on_the_same_state_is_refused(self):
        self.start()
        answer = run([BIN / "lory-coordinator", "--listen", "127.0.0.1:0",
                      "--http", "127.0.0.1:0", "--storage-root",
                      self.service.storage, "--state",
                      self.service.folder / "state"])
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn(str(self.service.coordinator.handle.pid), answer.stderr)

    def test_what_no_job_could_run_with_is_told_at_start(self):
        nope = self.folder / "nope"
        programs = {
            "lory-coordinator": {"--state": nope},
            "lory-worker": {"--coordinator": "127.0.0.1:1", "--data-root": DATA,
                            "--storage-root": self.folder, "--work": nope}}
        for program, flag in (("lory-coordinator", "--storage-root"),
                              *(("lory-worker", f"--{flag}") for flag in
                                ("trainer", "storage-root", "data-root"))):
            flags = sum({**programs[program], flag: nope}.items(), ())
            answer = run([BIN / program, *flags])
            self.assertRegex(answer.stderr, f"{flag}: .*{nope}.*; [mg]")
            self.assertEqual((answer.returncode, nope.exists()), (1, False))

    def test_a_second_daemon_with_one_name_is_refused(self):
        self.start("worker-a")
        answer = run([BIN / "lory-worker", "--coordinator",
                      self.service.address, "--name", "worker-a", "--work",
                      self.folder / "twin", "--data-root", DATA,
                      "--storage-root", self.service.storage])
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn("worker-a", answer.stderr)

    def test_a_stopped_trainer_is_no_zombie_writer(self):
        self.start("worker-a", "worker-b")
        self.submit("run")
        self.wait_step("run", 10)
        victim = self.service.trainer_pid("worker-b")
        os.kill(victim, signal.SIGSTOP)
        os.kill(self.service.workers["worker-b"].handle.pid, signal.SIGSTOP)
        folder = self.service.job_folder("run")
        before = max(g for _, g in applied_steps(folder))
        wait_until(lambda: any(g > before for _, g in applied_steps(folder)),
                   "the others to go on", 60)
        os.kill(self.service.workers["worker-b"].handle.pid, signal.SIGCONT)
        os.kill(victim, signal.SIGCONT)
        self.wait_state("run", "SUCCEEDED")
        self.verify("run")


def main():
    global BIN, DATA
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=str(BIN))
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    BIN = Path(options.bin).resolve()
    with tempfile.TemporaryDirectory(prefix="lory-data-") as folder:
        DATA = Path(folder)
        make_dataset(DATA)
        names = [f"ServiceTest.{name}" for name in options.tests] or None
        unittest.main(argv=["service_test"] + (names or []), verbosity=2)


if __name__ == "__main__":
    main()
