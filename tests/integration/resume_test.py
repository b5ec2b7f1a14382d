"""Jobs that ended before their last step, and go on; workers that are gone.

Run by ./check, stage service; by hand:
resume_test.py --bin build/dev/bin [test names].
"""

import argparse
import json
import sys
import tempfile
import unittest
from pathlib import Path

import service_test
from service_test import ServiceError, kill_process, wait_until


def tensors(path):
    """Names, shapes and bytes of a safetensors file, without its notes."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__")
    return header, content[8 + size:]


class ResumeTest(service_test.ServiceTest):
    """One running service a test."""

    def final_checkpoint(self, name):
        return self.service.json("checkpoint", "get", f"{name}/150")

    def refused(self, *arguments):
        with self.assertRaises(ServiceError) as caught:
            self.service.ctl(*arguments)
        return str(caught.exception)

    def test_a_job_that_failed_ends_like_one_that_never_did(self):
        self.start("worker-a")
        folder = self.copy_of_dataset("copy")
        settings = ("dataset=copy", "steps=150", "max_workers=1")
        self.submit("never", *settings)
        self.wait_state("never", "SUCCEEDED")

        self.submit("failed", *settings)
        wait_until(lambda: int(self.service.job("failed").get(
            "checkpoint_step", -1)) > 0, "a committed checkpoint", 90)
        # The next trainer does not find the data.
        folder.rename(self.folder / "away")
        kill_process(self.service.trainer_pid("worker-a"))
        job = self.wait_state("failed", "FAILED", 60)
        saved = int(job["checkpoint_step"])
        self.assertLess(saved, 150)
        self.assertIn(f"goes on from the checkpoint of step {saved}",
                      self.service.ctl("job", "explain", "failed"))
        # A coordinator that knows it from the journal alone.
        self.service.coordinator.kill()
        self.service.start_coordinator()
        (self.folder / "away").rename(folder)
        self.service.ctl("job", "resume", "failed")
        self.wait_state("failed", "SUCCEEDED")

        timeline = self.service.ctl("job", "timeline", "failed")
        self.assertIn(f"it was FAILED: {job['reason']}", timeline)
        self.assertIn(f"start at step {saved} from the checkpoint of step "
                      f"{saved}", timeline.replace("starts", "start"))
        self.verify("failed")
        ends = [self.final_checkpoint(name) for name in ("never", "failed")]
        self.assertEqual(ends[0]["sample_digest"], ends[1]["sample_digest"])
        parts = [tensors(Path(end["folder"]) / end["parts"][0]["file"])
                 for end in ends]
        self.assertEqual(parts[0][0], parts[1][0])
        self.assertTrue(parts[0][1] == parts[1][1], "the weights differ")

    def test_a_cancelled_job_goes_on_where_its_data_lie_now(self):
        self.start("worker-a", "worker-b")
        folder = self.copy_of_dataset("copy")
        self.submit("run", "dataset=copy", "steps=150")
        wait_until(lambda: int(self.service.job("run").get(
            "checkpoint_step", -1)) > 0, "a committed checkpoint", 90)
        self.service.ctl("job", "cancel", "run")
        self.wait_state("run", "CANCELLED", 30)
        folder.rename(self.folder / "elsewhere")
        self.service.ctl("dataset", "register", "copy",
                         self.folder / "elsewhere/manifest.json")
        self.service.ctl("job", "resume", "run")
        self.wait_state("run", "SUCCEEDED")
        self.verify("run")
        self.assertIn("JOB_STATE", self.refused("job", "resume", "run"))

    def test_a_worker_that_is_gone_is_forgotten_and_taken_in_anew(self):
        self.start("worker-a", "worker-b")

        def names():
            return self.service.ctl("worker", "list", "-o", "name").split()

        wait_until(lambda: len(names()) == 2, "both workers to attend", 30)
        self.assertIn("WORKER_ALIVE",
                      self.refused("worker", "delete", "worker-b"))
        self.service.ctl("worker", "drain", "worker-b")
        self.service.workers["worker-b"].kill()
        wait_until(lambda: self.service.json("worker", "get", "worker-b")[
            "state"] == "LOST", "worker-b to be lost", 30)
        self.service.ctl("worker", "delete", "worker-b")
        self.assertEqual(names(), ["workers/worker-a"])
        self.service.start_worker("worker-b")
        wait_until(lambda: len(names()) == 2, "worker-b to come back", 30)
        self.assertEqual(self.service.json("worker", "get", "worker-b")[
            "state"], "READY")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=str(service_test.BIN))
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    service_test.BIN = Path(options.bin).resolve()
    with tempfile.TemporaryDirectory(prefix="lory-data-") as folder:
        service_test.DATA = Path(folder)
        service_test.make_dataset(service_test.DATA)
        names = options.tests or [name for name in vars(ResumeTest)
                                  if name.startswith("test_")]
        unittest.main(argv=["resume_test"]
                      + [f"ResumeTest.{name}" for name in names], verbosity=2)


if __name__ == "__main__":
    sys.exit(main())
