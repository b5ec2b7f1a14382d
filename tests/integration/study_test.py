"""A study of two variants through the whole service, with real trainers.

Run by ./check, stage service; by hand:
study_test.py --bin build/dev/bin.
"""

import argparse
import csv
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import service_test
from service_test import HERE, ServiceTest, wait_until

STUDY = f"""\
name: two
base_file: {HERE / "job.yaml"}
seeds: [1]
variants:
  - name: lory
    set: {{steps: STEPS, max_workers: 1}}
  - name: dense
    set:
      steps: STEPS
      max_workers: 1
      model.feed_forward: {{dense: {{}}}}
"""


class StudyTest(ServiceTest):
    """Two jobs, one with experts and one without."""

    def write_study(self, steps):
        path = self.folder / "study.yaml"
        path.write_text(STUDY.replace("STEPS", str(steps)))
        return path

    def begin(self, study):
        """Starts `study run` and leaves it running."""
        process = subprocess.Popen(
            [str(word) for word in [
                service_test.BIN / "loryctl", "--server", self.service.address,
                "study", "run", study]],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def finish(self, process, code=0):
        """Waits for it; what it wrote to stdout and stderr."""
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, code, err)
        return out, err

    def rows(self):
        with open(self.folder / "two.results/results.csv",
                  encoding="utf-8") as lines:
            return {row["variant"]: row for row in csv.DictReader(lines)}

    def test_two_variants_end_in_one_table_and_run_again_in_no_time(self):
        self.start("worker-a", "worker-b")
        study = self.write_study(30)
        out, _ = self.finish(self.begin(study))
        rows = self.rows()
        self.assertEqual(set(rows), {"lory", "dense"})
        for row in rows.values():
            self.assertEqual(row["state"], "SUCCEEDED")
            self.assertEqual(row["evaluated_step"], "30")
            self.assertGreater(float(row["held_out_loss"]), 0)
            self.assertGreater(float(row["tokens_per_second"]), 0)
            perplexities = [value for key, value in row.items()
                            if key.startswith("perplexity_")]
            self.assertGreater(len(perplexities), 1)
            self.assertTrue(all(float(value) > 1 for value in perplexities))
        self.assertNotEqual(rows["lory"]["held_out_loss"],
                            rows["dense"]["held_out_loss"])
        self.assertEqual(rows["dense"]["active_experts"], "")
        self.assertIn("| dense | 1/1 |",
                      (self.folder / "two.results/results.md").read_text())
        self.assertIn("dense", out)
        self.finish(self.begin(study))
        self.assertEqual(len(self.service.json("job", "list")["jobs"]), 2)

    def test_ctrl_c_leaves_the_jobs_and_the_next_run_goes_on(self):
        self.start("worker-a", "worker-b")
        study = self.write_study(100)
        process = self.begin(study)
        wait_until(lambda: "jobs/two-dense-s1" in
                   self.service.ctl("job", "list", "-o", "name"),
                   "both jobs to be submitted", 30)
        process.send_signal(signal.SIGINT)
        _, err = self.finish(process, code=130)
        self.assertIn("go on: loryctl study run", err)
        self.assertNotEqual(self.service.job("two-dense-s1")["state"],
                            "CANCELLED")
        self.finish(self.begin(study))
        self.assertEqual(self.rows()["dense"]["state"], "SUCCEEDED")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=str(service_test.BIN))
    options = parser.parse_args()
    service_test.BIN = Path(options.bin).resolve()
    with tempfile.TemporaryDirectory(prefix="lory-data-") as folder:
        service_test.DATA = Path(folder)
        service_test.make_dataset(service_test.DATA)
        names = [f"StudyTest.{name}" for name in vars(StudyTest)
                 if name.startswith("test_")]
        unittest.main(argv=["study_test"] + names, verbosity=2)


if __name__ == "__main__":
    sys.exit(main())
