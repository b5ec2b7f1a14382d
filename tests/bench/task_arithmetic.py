#!/usr/bin/env python3
"""Task arithmetic on the demo corpus, from end to end.

    tests/bench/task_arithmetic.py --bin build/release/bin \\
        --corpus .cache/quickstart/corpus-24mb

Trains a small dense model on all of the quickstart's corpus, tunes it on two of
its domains with `init_from`, and makes three models of these by `lory-model
merge`: base + both differences, base - the first, base - the second. Prints the
held-out loss (nats a token) of each on both domains and on the others, measured
by jobs of kind `evaluate`. Two cores need a few minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/quickstart"))

from service import Service, wait_until  # noqa: E402

JOB = """
dataset: {dataset}
{model}
optimizer: {{learning_rate: {rate}}}
steps: {steps}
micro_batches: 2
micro_batch_sequences: 4
max_workers: 2
seed: 1
"""
MODEL = """
model:
  preset: tiny
  feed_forward: {dense: {}}
"""
CORPUS = """
name: {name}
output: {output}
inputs:
  - path: {text}
tokenizer:
  file: {tokenizer}
held_out:
  fraction: 0.02
order: random
sequence_length: 256
"""


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--corpus", type=Path, required=True,
                        help="the quickstart's: text.jsonl and dataset/")
    parser.add_argument("--domains", nargs=2, default=["scripture", "c"])
    parser.add_argument("--base-steps", type=int, default=800)
    parser.add_argument("--tune-steps", type=int, default=200)
    parser.add_argument("--scale", type=float, default=0.5,
                        help="of the differences in the sum")
    parser.add_argument("--negative-scale", type=float, default=0.5,
                        help="of the difference that is taken away")
    return parser.parse_args()


class Example:
    """A service, and what is trained and merged on it."""

    def __init__(self, options, folder, service):
        self.options = options
        self.folder = folder
        self.service = service

    def run(self, program, *arguments):
        result = subprocess.run(
            [self.options.bin / program, *map(str, arguments)],
            capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{program}: {result.stderr}")
        return result.stdout

    def dataset_of(self, domain):
        """Builds and registers the dataset of one domain's text."""
        text = self.folder / f"{domain}.jsonl"
        with open(self.options.corpus / "text.jsonl") as lines, \
                open(text, "w") as out:
            out.writelines(line for line in lines
                           if json.loads(line)["domain"] == domain)
        spec = self.folder / f"{domain}.yaml"
        output = self.folder / domain
        spec.write_text(CORPUS.format(
            name=domain, output=output, text=text,
            tokenizer=self.options.corpus / "dataset/tokenizer.json"))
        self.run("lory-corpus", "build", spec)
        self.service.ctl("dataset", "register", domain,
                         output / "manifest.json")

    def submit(self, name, text):
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        self.service.ctl("job", "submit", "-f", path, "--name", name)

        def ended():
            job = self.service.job(name)
            if job["state"] in ("FAILED", "CANCELLED"):
                sys.exit(f"{name} {job['state']}: {job.get('reason')}")
            return job if job["state"] == "SUCCEEDED" else None

        return wait_until(ended, f"{name} to succeed", 3600, interval=0.5)

    def train(self, name, dataset, steps, rate, begin=MODEL):
        job = self.submit(name, JOB.format(
            dataset=dataset, model=begin, steps=steps, rate=rate))
        step = job["checkpoint_step"]
        checkpoint = json.loads(self.service.ctl(
            "checkpoint", "get", f"{name}/{step}", "-o", "json"))
        return checkpoint["folder"]

    def merged(self, name, base, *terms):
        folder = self.folder / name
        self.run("lory-model", "merge", "--base", base, "--to", folder, *terms)
        return folder

    def losses(self, name, weights):
        """Held-out loss by domain of the corpus of all domains."""
        job = self.submit(f"measure-{name}", (
            f"dataset: demo\nkind: evaluate\ninit_from: {weights}\n"
            "max_workers: 2\n"))
        evaluation = job["progress"]["evaluation"]
        return {each["domain"]: each for each in evaluation["domains"]}


def row(name, losses, domains):
    others = [each for domain, each in losses.items() if domain not in domains]
    tokens = sum(int(each["token_count"]) for each in others)
    mean = sum(each["loss"] * int(each["token_count"]) for each in others)
    cells = [losses[domain]["loss"] for domain in domains] + [mean / tokens]
    print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |",
          flush=True)


def main():
    options = parse_arguments()
    options.corpus = options.corpus.resolve()
    first, second = options.domains
    with tempfile.TemporaryDirectory(prefix="lory-arithmetic-") as text:
        folder = Path(text)
        roots = [folder, options.corpus]
        with Service(options.bin, folder / "service", roots) as service:
            service.start_coordinator()
            for worker in ("worker-a", "worker-b"):
                service.start_worker(worker)
            service.ctl("dataset", "register", "demo",
                        options.corpus / "dataset/manifest.json")
            example = Example(options, folder, service)
            base = example.train("base", "demo", options.base_steps, 6e-3)
            tuned = []
            for domain in options.domains:
                example.dataset_of(domain)
                tuned.append(example.train(
                    f"tuned-{domain}", domain, options.tune_steps, 1e-3,
                    "init_from: base"))
            scale = ("--scale", options.scale)
            negative = ("--scale", options.negative_scale)
            models = {
                "base": base,
                f"tuned on {first}": tuned[0],
                f"tuned on {second}": tuned[1],
                f"base + {options.scale} x both": example.merged(
                    "sum", base, "--add", *tuned, *scale),
                f"base - {options.negative_scale} x {first}": example.merged(
                    "without-first", base, "--subtract", tuned[0], *negative),
                f"base - {options.negative_scale} x {second}": example.merged(
                    "without-second", base, "--subtract", tuned[1], *negative),
            }
            print(f"| model | {first} | {second} | other domains |\n"
                  "|---|---|---|---|", flush=True)
            for number, (name, weights) in enumerate(models.items()):
                row(name, example.losses(number, weights), options.domains)


if __name__ == "__main__":
    main()
