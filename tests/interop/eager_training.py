"""A job in eager Python torch: its data in its order, AdamW, its schedule.

After docs/formats.md (shards, order of sequences), docs/job-file.md (optimizer)
and docs/model.md (dense phase), without a line of ours.
"""

import json
import math

import numpy
import torch
import torch.nn.functional as F

from eager_model import forward

MASK = (1 << 64) - 1


def mix(x):
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9 & MASK
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb & MASK
    return x ^ (x >> 31)


def sequence_at(position, seed, epoch, count):
    """Index of the sequence that stands at `position` of the epoch."""
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    low = (1 << half) - 1
    start = mix(seed) + epoch
    keys = [mix(start + i * 0x9e3779b97f4a7c15 & MASK) for i in range(1, 7)]
    while True:
        left, right = position >> half, position & low
        for key in keys:
            left, right = right, left ^ (mix(right ^ key) & low)
        position = left << half | right
        if position < count:
            return position


class Sequences:
    """The training sequences of a dataset, in the order of its shards."""

    def __init__(self, manifest_path):
        manifest = json.loads(manifest_path.read_text())
        self.rows = []
        for shard in manifest["shards"]:
            path = manifest_path.parent / shard["file"]
            index = path.with_name(path.name + ".idx").read_bytes()
            kind = {4: "<i4", 8: "<u2"}[index[17]]
            tokens = numpy.fromfile(path.with_name(path.name + ".bin"), kind)
            self.rows.append(tokens.reshape(
                -1, manifest["sequence_length"] + 1).astype("int64"))
        self.rows = numpy.concatenate(self.rows)

    def micro_batches(self, job, step):
        """The step's micro-batches, each [sequences, L + 1]."""
        count, size = job["micro_batches"], job["micro_batch_sequences"]
        for m in range(count):
            numbers = [(step * count + m) * size + i for i in range(size)]
            yield torch.from_numpy(self.rows[[
                sequence_at(g % len(self.rows), job["seed"], g // len(self.rows),
                            len(self.rows)) for g in numbers]])


def learning_rate(job, step):
    """Of the update that follows `step` others."""
    steps, peak = job["steps"], job["optimizer"]["learning_rate"]
    warm_up = max(1, round(job["optimizer"]["warmup_fraction"] * steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    last = job["optimizer"]["final_fraction"]
    done = (step + 1 - warm_up) / max(1, steps - warm_up)
    return peak * (last + (1 - last) * (1 + math.cos(math.pi * done)) / 2)


class EagerTraining:
    """Parameters and their optimizer; step() is one optimizer step.

    `model`: as forward() wants it; `auxiliary`: what is minimised beside the
    cross-entropy, of the layers' router logits.
    """

    def __init__(self, job, model, tensors, auxiliary=None, fused=False):
        self.job, self.model, self.auxiliary = job, model, auxiliary
        self.fused = fused
        self.tensors = {name: value.clone().requires_grad_()
                        for name, value in tensors.items()}
        self.optimizer = self.make_optimizer()

    def make_optimizer(self):
        options = self.job["optimizer"]
        matrices = [t for t in self.tensors.values() if t.dim() > 1]
        vectors = [t for t in self.tensors.values() if t.dim() == 1]
        return torch.optim.AdamW(
            [{"params": matrices, "weight_decay": options["weight_decay"]},
             {"params": vectors, "weight_decay": 0}],
            lr=options["learning_rate"], eps=options["epsilon"],
            betas=(options["beta1"], options["beta2"]), fused=self.fused)

    def micro_batch(self, rows, token_count):
        """Adds the gradient of its share of the mean; the shares of loss and
        auxiliary loss."""
        logits, loads = forward(self.tensors, rows[:, :-1], self.model)
        share = rows[:, 1:].numel() / token_count
        loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()) * share
        auxiliary = torch.zeros(())
        if self.auxiliary is not None:
            auxiliary = self.auxiliary(loads) * share
        (loss + auxiliary).backward()
        return loss.item(), auxiliary.item()

    def step(self, number, batches):
        """Trains on `batches`, all of one size; what metrics/steps.jsonl says
        of such a step."""
        batches = list(batches)
        tokens = sum(rows[:, 1:].numel() for rows in batches)
        self.optimizer.zero_grad()
        sums = [self.micro_batch(rows, tokens) for rows in batches]
        norm = torch.nn.utils.clip_grad_norm_(
            self.tensors.values(), self.job["optimizer"]["clip_norm"])
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.job, number)
        self.optimizer.step()
        return {"loss": sum(loss for loss, _ in sums),
                "auxiliary_loss": sum(auxiliary for _, auxiliary in sums),
                "gradient_norm": norm.item(),
                "learning_rate": learning_rate(self.job, number)}

    def turn_into_experts(self, model, routers):
        """The end of the dense phase: feed-forwards and moments duplicated,
        the latter times 1/E and 1/E^2; routers as given, theirs zero."""
        old = {name: (value.detach(), self.optimizer.state[value])
               for name, value in self.tensors.items()}
        count = next(iter(routers.values())).shape[0]
        self.model, self.tensors, moments = model, {}, {}
        for name, (value, state) in old.items():
            first, second = state["exp_avg"], state["exp_avg_sq"]
            if ".mlp." in name:
                name = name.replace(".mlp.", ".mlp.experts.")
                value, first, second = (
                    t.unsqueeze(0).repeat(count, 1, 1) * scale for t, scale in
                    ((value, 1), (first, 1 / count), (second, 1 / count ** 2)))
            self.tensors[name] = value.requires_grad_()
            moments[name] = (state["step"], first, second)
        for name, value in routers.items():
            self.tensors[name] = value.clone().requires_grad_()
            zero = torch.zeros_like(value)
            moments[name] = (state["step"], zero, zero.clone())
        self.optimizer = self.make_optimizer()
        for name, value in self.tensors.items():
            step, first, second = moments[name]
            self.optimizer.state[value] = {
                "step": step.clone(), "exp_avg": first, "exp_avg_sq": second}
