"""The quickstart's Lory model beside the dense model of its active size.

    tests/bench/dense_against_lory.py --bin build/release/bin \\
        --manifest .cache/quickstart/corpus-24mb/dataset/manifest.json

Trains both through the service, one job after the other: same data, steps,
learning rate and seeds. Prints a Markdown table of losses (nats a token) and the
seconds from submit to success, and the mean difference with its standard error
over the seeds.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/quickstart"))

from service import Service, wait_until  # noqa: E402

# What --set lays over the quickstart's job, which is Lory's.
VARIANTS = {
    "dense": ["model.feed_forward={dense: {}}"],
    "lory": [],
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--manifest", required=True,
                        help="manifest.json of the quickstart's dataset")
    parser.add_argument("--steps", type=int, default=640)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    return parser.parse_args()


def train(service, variant, seed, steps):
    name = f"{variant}-{seed}"
    overrides = VARIANTS[variant] + [f"seed={seed}", f"steps={steps}"]
    service.ctl("job", "submit", "-f", ROOT / "tools/quickstart/job.yaml",
                "--name", name,
                *(word for text in overrides for word in ("--set", text)))
    start = time.monotonic()

    def ended():
        job = service.job(name)
        if job["state"] in ("FAILED", "CANCELLED"):
            sys.exit(f"{name} {job['state']}: {job.get('reason')}")
        return job if job["state"] == "SUCCEEDED" else None

    job = wait_until(ended, f"{name} to succeed", 3600, interval=0.5)
    return job, time.monotonic() - start


def row(variant, seed, job, seconds):
    progress = job["progress"]
    overall = progress["evaluation"]["overall"]
    print(f"| {variant} | {seed} | {progress['loss']:.3f} | "
          f"{overall['loss']:.3f} | {overall['unigram_entropy']:.3f} | "
          f"{seconds:.0f} |", flush=True)
    return overall["loss"]


def main():
    options = parse_arguments()
    manifest = Path(options.manifest).resolve()
    print("| model | seed | last training loss | held-out loss | unigram entropy"
          " | seconds |\n|---|---|---|---|---|---|", flush=True)
    losses = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="lory-compare-") as folder:
        with Service(options.bin, folder, [manifest.parent]) as service:
            service.start_coordinator()
            for worker in ("worker-a", "worker-b"):
                service.start_worker(worker)
            service.ctl("dataset", "register", "demo", manifest)
            for seed in options.seeds:
                for variant in VARIANTS:
                    result = train(service, variant, seed, options.steps)
                    losses[variant].append(row(variant, seed, *result))
    gains = [dense - lory for dense, lory in zip(*losses.values())]
    error = (statistics.stdev(gains) / math.sqrt(len(gains))
             if len(gains) > 1 else math.nan)
    print(f"\ndense - lory: {statistics.mean(gains):+.4f} nats a token, "
          f"standard error {error:.4f}, {len(gains)} seeds, "
          f"{options.steps} steps")


if __name__ == "__main__":
    main()
