"""Jobs that begin from a checkpoint, through the whole service.

Run by ./check, stage service; by hand:
tuning_test.py --bin build/dev/bin.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import service_test
from service_test import ServiceTest


class TuningTest(ServiceTest):
    """Fine-tuning, evaluation and adaptation of what a job left."""

    def submit_text(self, name, text):
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        self.service.ctl("job", "submit", "-f", path, "--name", name)

    def refused(self, name, text):
        with self.assertRaises(service_test.ServiceError) as caught:
            self.submit_text(name, text)
        return str(caught.exception)

    def checkpoint_folder(self, name):
        job = self.service.job(name)
        return self.service.json(
            "checkpoint", "get", f"{name}/{job['checkpoint_step']}")["folder"]

    def model(self, *arguments):
        result = subprocess.run(
            [str(part) for part in (service_test.BIN / "lory-model",
                                    *arguments)],
            capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def train(self, name, *settings):
        self.submit(name, "steps=20", *settings)
        return self.wait_state(name, "SUCCEEDED")

    def test_an_evaluation_finds_what_training_and_lory_model_find(self):
        self.start("worker-a", "worker-b")
        trained = self.train("base", "evaluation.sequences_per_domain=1000")[
            "progress"]["evaluation"]
        self.submit_text("again", "dataset: demo\nkind: evaluate\n"
                         "init_from: base\nmax_workers: 2\n")
        job = self.wait_state("again", "SUCCEEDED")
        found = job["progress"]["evaluation"]
        self.assertEqual(int(job["checkpoint_step"]), -1)
        for key in ("loss", "later_loss"):
            self.assertAlmostEqual(found["overall"][key],
                                   trained["overall"][key], delta=1e-6)
        self.assertGreater(int(found["train"]["token_count"]), 0)
        folder = self.checkpoint_folder("base")
        said = json.loads(self.model(
            "eval", folder, "--data", service_test.DATA / "dataset", "-o",
            "json"))
        losses = {text["name"]: text["all"]["loss"] for text in said["texts"]}
        for domain in found["domains"]:
            self.assertAlmostEqual(losses[domain["domain"]], domain["loss"],
                                   delta=1e-5)
        self.verify("again")
        # By the folder it is the same.
        self.submit_text("folder", "dataset: demo\nkind: evaluate\n"
                         f"init_from: {folder}\n")
        other = self.wait_state("folder", "SUCCEEDED")
        self.assertAlmostEqual(
            other["progress"]["evaluation"]["overall"]["loss"],
            found["overall"]["loss"], delta=1e-6)

    def test_tuning_goes_on_from_the_weights_and_survives_its_worker(self):
        self.start("worker-a", "worker-b")
        base = self.train("base")
        self.submit_text("tuned", (
            "dataset: demo\ninit_from: jobs/base\nsteps: 400\n"
            "optimizer: {learning_rate: 1e-3}\n"
            "micro_batches: 4\nmicro_batch_sequences: 2\nmax_workers: 1\n"
            "checkpoint: {every_steps: 1000}\n"))
        self.wait_step("tuned", 2)
        # No checkpoint of its own: it begins from the same weights again.
        refused = self.service.ctl("job", "delete", "base", check=False)
        self.assertEqual(refused, "")
        member = self.service.job("tuned")["members"][0]["worker"]
        name = member.removeprefix("workers/")
        service_test.kill_process(self.service.trainer_pid(name))
        job = self.wait_state("tuned", "SUCCEEDED")
        self.assertGreater(int(job["recovery_count"]), 0)
        self.assertLess(job["progress"]["evaluation"]["overall"]["loss"],
                        base["progress"]["evaluation"]["overall"]["loss"])
        self.service.ctl("job", "delete", "base")
        self.verify("tuned")

    def test_gates_of_an_ensemble_are_adapted(self):
        self.start("worker-a")
        dense = "model.feed_forward={dense: {}}"
        self.train("base", dense, "max_workers=1")
        base = self.checkpoint_folder("base")
        self.train("other", dense, "max_workers=1", "seed=2")
        ensemble = self.folder / "ensemble"
        self.model("ensemble", "--base", base, "--add",
                   self.checkpoint_folder("other"), base, "--pool-length", "16",
                   "--to", ensemble)
        trained, made, data = (
            json.loads((folder / "manifest.json").read_text())[
                "tokenizer_sha256"]
            for folder in (Path(base), ensemble,
                           service_test.DATA / "dataset"))
        self.assertEqual((trained, made), (data, data))
        self.submit_text("adapted", (
            f"dataset: demo\nkind: adapt\ninit_from: {ensemble}\nsteps: 10\n"
            "optimizer: {learning_rate: 1e-3}\n"
            "micro_batches: 2\nmicro_batch_sequences: 2\n"))
        self.wait_state("adapted", "SUCCEEDED")
        difference = json.loads(subprocess.run(
            [str(part) for part in (
                service_test.BIN / "lory-model", "diff", ensemble,
                self.checkpoint_folder("adapted"), "-o", "json")],
            capture_output=True, text=True).stdout)
        changed = [tensor["name"] for tensor in difference["tensors"]
                   if tensor["differing"] > 0]
        self.assertTrue(changed)
        self.assertTrue(all("router" in name for name in changed), changed)

    def test_what_a_job_cannot_begin_from_is_told(self):
        self.start("worker-a")
        self.train("base", "max_workers=1")
        evaluate = "dataset: demo\nkind: evaluate\n"
        for wanted, why in {
                "none": "x.yaml:3: init_from: no job 'jobs/none'",
                "jobs/base/checkpoints/7": "no committed checkpoint",
                "/etc": "x.yaml:3: init_from: /etc is not beneath",
                str(self.folder): "manifest.json",
        }.items():
            self.assertIn(why, self.refused(
                "x", evaluate + f"init_from: {wanted}\n"))
        self.assertIn("takes no steps", self.refused(
            "x", evaluate + "init_from: base\nsteps: 5\n"))
        nothing = self.refused("x", evaluate)
        self.assertIn("init_from: missing", nothing)
        self.assertNotIn("model", nothing)
        self.assertIn("x.yaml:4: model: with init_from it is left out",
                      self.refused("x", evaluate + "init_from: base\n"
                                   "model: {width: 64}\n"))
        self.assertIn("leave `model` out", self.refused(
            "x", evaluate + "init_from: base\nmodel: {preset: small}\n"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=str(service_test.BIN))
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    service_test.BIN = Path(options.bin).resolve()
    with tempfile.TemporaryDirectory(prefix="lory-data-") as folder:
        service_test.DATA = Path(folder)
        service_test.make_dataset(service_test.DATA)
        names = options.tests or [name for name in vars(TuningTest)
                                  if name.startswith("test_")]
        unittest.main(argv=["tuning_test"]
                      + [f"TuningTest.{name}" for name in names], verbosity=2)


if __name__ == "__main__":
    sys.exit(main())
