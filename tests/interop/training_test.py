"""Training through the service against the same training in Python torch.

Run by ctest; by hand: training_test.py --bin build/dev/bin [test names].
Environment and skipping: as llama_exchange_test.py.

A coordinator, a worker and a trainer train in fp32; eager_training.py does the
same from the same weights, with torch's own AdamW, on the sequences that
docs/formats.md says. Loss, auxiliary loss, gradient norm and learning rate of
metrics/steps.jsonl agree at every step: the losses to 1e-4, relative. Balance
losses are transformers' and what the papers say; token choice is also
MixtralForCausalLM with its router's loss.
"""

import copy
import json
import math
import shutil
import tempfile
import unittest
from pathlib import Path

# First: it looks for an environment that has torch.
import llama_exchange_test as exchange
from llama_exchange_test import Service, lory_model, service_test, wait_until
from eager_model import megatron_loss, switch_loss, z_loss
from eager_training import EagerTraining, Sequences
from random_checkpoint import parameters_of
import torch
from transformers import MixtralForCausalLM
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

TOLERANCE = 1e-4  # relative
EXPERTS, SEGMENT = 4, 16
SIZES = {"vocabulary_size": 1024, "sequence_length": 64, "layer_count": 2,
         "width": 64, "head_count": 4, "key_value_head_count": 2,
         "feed_forward_width": 96, "rotary_base": 10000, "norm_epsilon": 1e-5}
# At three times the learning rate, or with routers of stddev 1, training is
# chaotic: eager torch in fp32 is then as far from itself in double precision as
# we are, above 1e-4 after fifty steps.
JOB = {"dataset": "demo", "seed": 11, "steps": 100, "micro_batches": 2,
       "micro_batch_sequences": 4, "numerics": "fast",
       "min_workers": 1, "max_workers": 1,
       "checkpoint": {"every_steps": 1000},
       "evaluation": {"sequences_per_domain": 1},
       "optimizer": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.95,
                     "epsilon": 1e-8, "weight_decay": 0.1, "clip_norm": 0.6,
                     "warmup_fraction": 0.05, "final_fraction": 0.1}}


def make_job(feed_forward, **changes):
    """Routers of fifteen times the usual size, so that a wrong mixture shows:
    with the gradient of the first segment's routing, or without that of the
    others, the loss is 6e-4 and 2e-3 off after a hundred steps."""
    job = copy.deepcopy({**JOB, **changes})
    kind, options = next(iter(feed_forward.items()))
    if kind != "dense":
        options = {"expert_count": EXPERTS, "router_init_stddev": 0.3,
                   "dense_fraction": -1, **options}
    job["model"] = {**SIZES, "feed_forward": {kind: options}}
    return job


class TrainingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="lory-training-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        service_test.BIN = exchange.BIN
        manifest = service_test.make_dataset(cls.folder) / "manifest.json"
        cls.sequences = Sequences(manifest)
        cls.service = Service(exchange.BIN, cls.folder / "service", [cls.folder])
        cls.addClassCleanup(cls.service.stop)
        cls.service.start_coordinator()
        cls.service.start_worker("worker-a")
        cls.service.ctl("dataset", "register", "demo", manifest)

    def train(self, name, job):
        """Rows of metrics/steps.jsonl of the job, trained to its end."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"name": name, **job}))  # JSON is YAML
        self.service.ctl("job", "submit", "-f", path)

        def ended():
            state = self.service.job(name)
            self.assertNotEqual(state["state"], "FAILED", state.get("reason"))
            return state["state"] == "SUCCEEDED"

        wait_until(ended, f"{name} to succeed", 300)
        lines = self.service.job_folder(name) / "metrics/steps.jsonl"
        rows = [json.loads(line) for line in lines.read_text().splitlines()]
        self.assertEqual([row["step"] for row in rows],
                         list(range(1, job["steps"] + 1)))
        return rows

    def checkpoint(self, name, step):
        folder = self.service.job_folder(name) / "checkpoints"
        return next(folder.glob(f"step-{step}.gen-*"))

    def initial_weights(self, name, job):
        """Those that the job begins with, which its seed decides: after a step
        too small to move a number."""
        still = copy.deepcopy({**job, "steps": 1})
        still["optimizer"]["learning_rate"] = 1e-30
        self.train(f"{name}-weights", still)
        return parameters_of(self.checkpoint(f"{name}-weights", 1))

    def compare(self, rows, eager, before_step=lambda step: None):
        """Trains `eager` beside what `rows` say of the service's training."""
        worst = {"loss": 0, "auxiliary_loss": 0, "gradient_norm": 0,
                 "learning_rate": 0}
        for step, row in enumerate(rows):
            before_step(step)
            theirs = eager.step(
                step, self.sequences.micro_batches(eager.job, step))
            for key in worst:
                distance = abs(row[key] - theirs[key])
                # max(0, nan) is 0.
                self.assertTrue(math.isfinite(distance), f"{key}, step {step}")
                worst[key] = max(worst[key],
                                 distance / max(abs(theirs[key]), 1e-30))
        name = self.id().rsplit(".", maxsplit=1)[-1]
        print(f"{name}: loss {rows[0]['loss']:.4f} -> {rows[-1]['loss']:.4f} in "
              f"{len(rows)} steps; largest relative differences " + ", ".join(
                  f"{key} {value:.1e}" for key, value in worst.items()),
              flush=True)
        self.assertLess(rows[-1]["loss"], rows[0]["loss"] - 0.1)
        self.assertLessEqual(worst["loss"], TOLERANCE)
        self.assertLessEqual(worst["auxiliary_loss"], TOLERANCE)
        self.assertLessEqual(worst["gradient_norm"], 1e-3)
        self.assertLessEqual(worst["learning_rate"], 1e-6)

    # ---- a hundred steps ----

    def test_dense(self):
        job = make_job({"dense": {}})
        weights = self.initial_weights("dense", job)
        eager = EagerTraining(job, {**SIZES, "feed_forward": "dense"}, weights)
        rows = self.train("dense", job)
        clipped = [row["gradient_norm"] > 0.6 for row in rows]
        self.assertTrue(any(clipped) and not all(clipped), "of clipping")
        self.compare(rows, eager)

    def test_lory(self):
        job = make_job({"lory": {"segment_length": SEGMENT}})
        weights = self.initial_weights("lory", job)
        model = {**SIZES, "feed_forward": "lory", "segment_length": SEGMENT}
        self.compare(self.train("lory", job), EagerTraining(job, model, weights))

    def test_lory_after_a_dense_phase(self):
        options = {"segment_length": SEGMENT, "dense_fraction": 0.3}
        job = make_job({"lory": options})
        dense = self.initial_weights("begin", make_job({"dense": {}}))
        # Of one seed, routers are the same whenever they are drawn.
        routers = {name: value for name, value in self.initial_weights(
            "routers", make_job({"lory": {"segment_length": SEGMENT}})).items()
            if name.endswith("router.weight")}
        eager = EagerTraining(job, {**SIZES, "feed_forward": "dense"}, dense)
        rows = self.train("phases", job)
        # The row of its last step tells of the state after it, with experts.
        self.assertEqual([row["dense_phase"] for row in rows],
                         [True] * 29 + [False] * 71)

        def switch(step):
            if step == 30:
                eager.turn_into_experts(
                    {**SIZES, "feed_forward": "lory",
                     "segment_length": SEGMENT}, routers)

        self.compare(rows, eager, switch)

    # ---- balance losses ----

    def check_balance(self, name, options, auxiliary):
        """Coefficients are large: the loss's gradient must be right, too."""
        job = make_job({"token_choice": {"top_k": 2, **options}}, steps=20)
        weights = self.initial_weights(name, job)
        model = {**SIZES, "feed_forward": "token_choice", "top_k": 2}
        rows = self.train(name, job)
        self.assertGreater(min(row["auxiliary_loss"] for row in rows), 0.1)
        self.compare(rows, EagerTraining(job, model, weights, auxiliary))

    def test_the_balance_loss_of_hugging_face(self):
        self.check_balance(
            "mixtral", {"balance": "hf_mixtral", "balance_coefficient": 0.5},
            lambda loads: 0.5 * load_balancing_loss_func(
                tuple(loads), EXPERTS, 2))

    def test_the_balance_loss_of_switch_and_the_z_loss(self):
        self.check_balance(
            "switch", {"balance": "switch", "balance_coefficient": 0.5,
                       "z_loss_coefficient": 0.1},
            lambda loads: 0.5 * switch_loss(loads, 2) + 0.1 * z_loss(loads))

    def test_the_balance_loss_of_megatron(self):
        self.check_balance(
            "megatron", {"balance": "megatron", "balance_coefficient": 0.5},
            lambda loads: 0.5 * megatron_loss(loads, 2))

    def test_token_choice_trains_as_mixtral_computes(self):
        """The loss of a step, from a checkpoint's export and transformers."""
        job = make_job({"token_choice": {
            "top_k": 2, "balance": "hf_mixtral", "balance_coefficient": 0.5}},
            steps=20, checkpoint={"every_steps": 10})
        rows = self.train("export", job)
        target = self.folder / "mixtral-export"
        lory_model("export", self.checkpoint("export", 10), "--to", target)
        model = MixtralForCausalLM.from_pretrained(
            target, dtype=torch.float32, router_aux_loss_coef=0.5)
        losses, auxiliary = [], []
        for batch in self.sequences.micro_batches(job, 10):
            targets = batch[:, 1:].contiguous()
            with torch.no_grad():
                out = model(batch[:, :-1], labels=targets, shift_labels=targets,
                            output_router_logits=True)
            losses.append(out.loss.item())
            auxiliary.append(0.5 * out.aux_loss.item())
        row = rows[10]
        self.assertEqual(row["step"], 11)
        auxiliary, loss = (sum(numbers) / len(numbers)
                           for numbers in (auxiliary, losses))
        distances = [abs(row["auxiliary_loss"] / auxiliary - 1), abs(
            (row["loss"] + row["auxiliary_loss"]) / loss - 1)]
        print(f"MixtralForCausalLM: loss {loss:.4f}, of it of the router "
              f"{auxiliary:.4f}; relative differences {distances[1]:.1e}, "
              f"{distances[0]:.1e}", flush=True)
        self.assertLessEqual(max(distances), TOLERANCE)


if __name__ == "__main__":
    # Small matrices; the other core is the trainer's.
    exchange.run_tests(__doc__, threads=1)
