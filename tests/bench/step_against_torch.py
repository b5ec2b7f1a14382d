"""A training step of the service beside one of eager Python torch.

    .cache/interop/bin/python tests/bench/step_against_torch.py \\
        --bin build/release/bin

The tiny preset, dense and Lory with 8 experts, fp32, on the same sequences with
the same micro-batches and threads: a coordinator, a worker and its trainer on
one side, on the other tests/interop/eager_model.py with torch's fused AdamW and
its batches ready in memory, once as Python starts and once with the trainer's
malloc settings. They take turns; a figure is the median of a turn's steps, the
first few left out, and of all turns. Prints a Markdown table.

Needs the environment of tests/interop.
"""

import argparse
import copy
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
for folder in ("tools/quickstart", "tests/interop"):
    sys.path.insert(0, str(ROOT / folder))

from eager_training import EagerTraining, Sequences  # noqa: E402
from random_checkpoint import parameters_of  # noqa: E402
from service import Service, wait_until  # noqa: E402
import torch  # noqa: E402

VARIANTS = {
    "dense": {"dense": {}},
    "lory": {"lory": {"expert_count": 8, "segment_length": 32,
                      "dense_fraction": -1}},
}
MODEL = {"layer_count": 4, "width": 128, "head_count": 4,
         "key_value_head_count": 4, "rotary_base": 10000,
         "norm_epsilon": 1e-5, "segment_length": 32}
JOB = {"dataset": "demo", "seed": 1, "micro_batches": 2,
       "micro_batch_sequences": 4, "min_workers": 1, "max_workers": 1,
       "checkpoint": {"every_steps": 1000000},
       "evaluation": {"sequences_per_domain": 1},
       "optimizer": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.95,
                     "epsilon": 1e-8, "weight_decay": 0.1, "clip_norm": 1.0,
                     "warmup_fraction": 0.05, "final_fraction": 0.1}}
# What worker/device/cpu.cc asks of malloc.
TRAINERS_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TOP_PAD_": str(64 << 20),
                   "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
WARM_UP = 5  # steps of a turn that do not count


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="of a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", help=argparse.SUPPRESS)  # a folder, see Peer
    return parser.parse_args()


def job_of(variant, steps):
    job = copy.deepcopy({**JOB, "steps": steps})
    job["model"] = {"preset": "tiny", "feed_forward": VARIANTS[variant]}
    return job


class Peer:
    """Python torch in a process of its own, which trains on demand."""

    def __init__(self, options, variant, manifest, checkpoint, environment):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--peer", json.dumps(
                [variant, str(manifest), str(checkpoint)]),
             "--steps", str(options.steps), "--threads", str(options.threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **environment})

    def step_seconds(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def be_a_peer(options):
    variant, manifest, checkpoint = json.loads(options.peer)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    job = job_of(variant, options.steps)
    sequences = Sequences(Path(manifest))
    training = EagerTraining(job, {**MODEL, "feed_forward": variant},
                             parameters_of(Path(checkpoint)), fused=True)
    batches = [list(sequences.micro_batches(job, step))
               for step in range(options.steps)]
    for _ in sys.stdin:
        times = []
        for step, rows in enumerate(batches):
            start = time.perf_counter()
            training.step(step, rows)
            times.append(time.perf_counter() - start)
        print(json.dumps(times[WARM_UP:]), flush=True)


def make_dataset(binaries, folder):
    subprocess.run([ROOT / "tools/demo_corpus", "--out", folder / "text.jsonl",
                    "--max-mb", "2"], check=True, stdout=subprocess.DEVNULL)
    shutil.copy(ROOT / "tools/quickstart/corpus.yaml", folder / "corpus.yaml")
    subprocess.run([binaries / "lory-corpus", "build", folder / "corpus.yaml"],
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return folder / "dataset/manifest.json"


def train(service, name, job):
    """Seconds of the job's steps."""
    path = service.folder / f"{name}.yaml"
    path.write_text(json.dumps({"name": name, **job}))  # JSON is YAML
    service.ctl("job", "submit", "-f", path)

    def ended():
        state = service.job(name)
        if state["state"] == "FAILED":
            sys.exit(f"{name}: {state.get('reason')}")
        return state["state"] == "SUCCEEDED"

    wait_until(ended, f"{name} to succeed", 600, interval=2)
    rows = (service.job_folder(name) / "metrics/steps.jsonl").read_text()
    return [json.loads(row)["step_seconds"]
            for row in rows.splitlines()][WARM_UP:]


def race(options, service, manifest, variant):
    """Prints the variant's row."""
    job = job_of(variant, options.steps)
    train(service, f"{variant}-weights", job)
    checkpoint = next((service.job_folder(f"{variant}-weights")
                       / "checkpoints").glob(f"step-{options.steps}.gen-*"))
    peers = [Peer(options, variant, manifest, checkpoint, environment)
             for environment in ({}, TRAINERS_MALLOC)]
    ours, theirs = [], [[], []]
    for turn in range(options.turns):
        ours.append(statistics.median(
            train(service, f"{variant}-{turn}", job)))
        for peer, medians in zip(peers, theirs):
            medians.append(statistics.median(peer.step_seconds()))
    for peer in peers:
        peer.stop()
    mine = statistics.median(ours)
    cells = [f"{variant}", f"{1000 * mine:.1f}"]
    for medians in theirs:
        ratios = [their / our for their, our in zip(medians, ours)]
        cells += [f"{1000 * statistics.median(medians):.1f}",
                  f"{statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f} to {max(ratios):.2f})"]
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    options = parse_arguments()
    if options.peer:
        be_a_peer(options)
        return
    binaries = Path(options.bin).resolve()
    with tempfile.TemporaryDirectory(prefix="lory-race-") as name:
        folder = Path(name)
        manifest = make_dataset(binaries, folder)
        tokens = json.loads(manifest.read_text())["sequence_length"] * (
            JOB["micro_batches"] * JOB["micro_batch_sequences"])
        print(f"{options.threads} threads, {tokens} tokens a step, fp32, torch "
              f"{torch.__version__}, load {os.getloadavg()[0]:.1f}\n\n"
              "| model | ours, ms | torch, ms | torch / ours | torch, our malloc,"
              " ms | torch / ours |\n|---|---|---|---|---|---|", flush=True)
        with Service(binaries, folder / "run", [folder]) as service:
            service.start_coordinator()
            service.start_worker("worker-a", threads=options.threads)
            service.ctl("dataset", "register", "demo", manifest)
            for variant in VARIANTS:
                race(options, service, manifest, variant)


if __name__ == "__main__":
    main()
