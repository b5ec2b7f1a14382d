"""The quickstart's run: real text to a trained Lory model, with a kill."""

import argparse
import fcntl
import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from service import (Service, ServiceError, applied_steps, kill_process,  # noqa: E402
                     wait_until)

JOB = "quickstart"


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="./quickstart",
        description="Trains a small Lory model on real text through "
        "coordinator, two workers and trainers, kills one on the way, and "
        "says what happened.",
        epilog="examples:\n  ./quickstart\n  ./quickstart --keep\n"
        "  ./quickstart --steps 100 --folder /var/tmp/lory",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"),
                        help=argparse.SUPPRESS)
    parser.add_argument("--folder", default=str(ROOT / ".cache/quickstart"),
                        help="where corpus, state and checkpoints go "
                        "(default: .cache/quickstart)")
    parser.add_argument("--steps", type=int, default=0,
                        help="optimizer steps (default: those of "
                        "tools/quickstart/job.yaml)")
    parser.add_argument("--job", default=str(HERE / "job.yaml"),
                        help="another job.yaml")
    parser.add_argument("--corpus", default=str(HERE / "corpus.yaml"),
                        help="another corpus.yaml")
    parser.add_argument("--max-mb", type=int, default=24,
                        help="megabytes of text (default: 24)")
    parser.add_argument("--no-kill", action="store_true",
                        help="let everybody live")
    parser.add_argument("--min-active", type=float, default=0, metavar="SHARE",
                        help="fail when a smaller share of all layers' experts "
                        "was active, in training or in the model that came "
                        "of it (default: 0)")
    parser.add_argument("--keep", action="store_true",
                        help="leave coordinator and workers running")
    return parser.parse_args()


def say(text=""):
    print(text, flush=True)


def heading(text):
    say(f"\n== {text}")


def run(command):
    """Runs a program that speaks to the person at the terminal."""
    code = subprocess.run([str(part) for part in command], check=False).returncode
    if code != 0:
        raise ServiceError(f"{command[0]} ended with {code}")


def make_corpus(options, folder):
    heading("corpus: real text from Debian packages")
    folder = folder / f"corpus-{options.max_mb}mb"
    folder.mkdir(exist_ok=True)
    text = folder / "text.jsonl"
    if not text.exists():
        run([ROOT / "tools/demo_corpus", "--out", text,
             "--max-mb", options.max_mb])
    # Paths in a corpus.yaml are taken from its own folder.
    shutil.copy(options.corpus, folder / "corpus.yaml")
    run([Path(options.bin) / "lory-corpus", "build", folder / "corpus.yaml"])
    return folder / "dataset/manifest.json"


class Killing:
    """Kills a trainer once and measures until training went on."""

    def __init__(self, service, worker):
        self.service = service
        self.worker = worker
        self.done = False
        self.text = "nobody was killed"
        self.seconds = None

    def kill(self, step):
        self.done = True
        pid = self.service.trainer_pid(self.worker)
        if pid is None:
            raise ServiceError(f"{self.worker} runs no trainer to kill")
        folder = self.service.job_folder(JOB)
        before = max((g for _, g in applied_steps(folder)), default=0)
        start = time.monotonic()
        kill_process(pid)
        wait_until(lambda: any(g > before for _, g in applied_steps(folder)),
                   "a step applied after the kill", 60, interval=0.02)
        self.seconds = time.monotonic() - start
        self.text = (f"kill -9 of the trainer of {self.worker} at step {step}; "
                     f"next step applied after {self.seconds:.2f} s")
        say(f"   {self.text}")


def follow(service, killing, kill):
    """Prints progress until the job ends; returns it with first and last loss."""
    losses = []
    printed = 0.0

    def look():
        nonlocal printed
        job = service.job(JOB)
        progress = job.get("progress", {})
        step, count = int(progress.get("step", 0)), int(progress.get("step_count", 1))
        if step and progress.get("loss"):
            losses.append(progress["loss"])
        if kill and not killing.done and step >= count * 0.4:
            killing.kill(step)
        if time.monotonic() - printed > 5 and step:
            printed = time.monotonic()
            say(f"   step {step:4d}/{count}  loss {progress.get('loss', 0):6.3f}  "
                f"{progress.get('tokens_per_second', 0):7.0f} tokens/s  "
                f"generation {job.get('generation', 0)}  {job.get('state', '')}")
        if job.get("state") in ("FAILED", "CANCELLED"):
            raise ServiceError(f"the job {job['state']}: {job.get('reason')}")
        return job if job.get("state") == "SUCCEEDED" else None

    job = wait_until(look, "the job to succeed", 1800, interval=0.25)
    return job, losses[0] if losses else math.nan, losses[-1] if losses else math.nan


def audit(service, options):
    """Prints lory-verify's findings; returns its words on lost samples."""
    result = subprocess.run(
        [Path(options.bin) / "lory-verify", "run", "--journal",
         service.folder / "state", "--storage-root", service.storage,
         "--job", f"jobs/{JOB}"], capture_output=True, text=True, check=False)
    say(result.stdout.rstrip())
    if result.returncode != 0:
        raise ServiceError(f"lory-verify found a violation: {result.stderr}")
    return next(line for line in result.stdout.splitlines()
                if line.startswith("samples lost"))


def summarise(manifest, job, first, last, killing, samples, seconds):
    progress = job["progress"]
    corpus = json.loads(manifest.read_text())
    heading("summary")
    say(f"corpus          {corpus['document_count']} documents, "
        f"{corpus['token_count']} tokens, {len(corpus['held_out'])} domains")
    say(f"loss            {first:.3f} -> {last:.3f} nats a token in "
        f"{progress['step']} steps, {seconds:.0f} s")
    evaluation = progress.get("evaluation", {})
    overall = evaluation.get("overall", {})
    say(f"held-out        {overall.get('loss', math.nan):.3f} nats a token; "
        f"unigram entropy of the same set "
        f"{overall.get('unigram_entropy', math.nan):.3f}")
    for domain in evaluation.get("domains", []):
        say(f"  {domain['domain']:<14}perplexity {domain['perplexity']:8.1f}")
    say(f"killed          {killing.text}")
    say(f"audit           {samples}")
    say("experts         mean routing weight, by layer")
    for layer in progress.get("routing", []):
        weights = layer["weight_mean"]
        say(f"  layer {layer.get('layer', 0)}  entropy {layer['entropy']:.2f} of "
            f"{math.log(len(weights)):.2f}  active {layer.get('active_share', 0):.0%}  "
            + " ".join(f"{w:.2f}" for w in weights))
    active, count = active_experts(job)
    say(f"  {active} of {count} are active on the text that was evaluated")


def active_experts(job):
    """How many experts some segment of the corpus that was evaluated, held out or
    trained on, gave more than 2/E, and of how many, over all layers."""
    used = {}
    evaluation = job["progress"].get("evaluation", {})
    for text in evaluation.get("domains", []) + [evaluation.get("train", {})]:
        for layer in text.get("routing", []):
            for expert, fraction in enumerate(layer["active_fraction"]):
                place = layer.get("layer", 0), expert
                used[place] = used.get(place, False) or fraction > 0
    return sum(used.values()), len(used)


def active_in_training(job):
    """The same of the last steps' window, as in the paper's figure 9."""
    layers = job["progress"].get("routing", [])
    counts = [len(layer["weight_mean"]) for layer in layers]
    return (sum(round(layer.get("active_share", 0) * count)
                for layer, count in zip(layers, counts)), sum(counts))


def check_experts(job, least):
    """ServiceError when fewer experts are used than should be."""
    for active, count in active_in_training(job), active_experts(job):
        if active < least * count or (least and not count):
            raise ServiceError(f"{active} of {count} experts are active; at least "
                               f"{least:.0%} were to be (--min-active)")


def next_steps(service, options, manifest):
    heading("look further")
    loryctl = f"{options.bin}/loryctl"
    if options.keep:
        metrics = ", ".join(f"http://{info['http']}/metrics"
                            for info in service.worker_info.values())
        say(f"status page     http://{service.http}/")
        say(f"metrics         http://{service.http}/metrics, {metrics}")
        prefix = f"{loryctl} --server {service.address}"
        say(f"  {prefix} job timeline {JOB}")
        say(f"  {prefix} checkpoint list {JOB}")
    else:
        say("status page and metrics: ./quickstart --keep leaves all running")
        say(f"  {loryctl} job plot {JOB} --file "
            f"{service.job_folder(JOB)}/metrics/steps.jsonl")
        say(f"  {options.bin}/lory-verify run --journal {service.folder}/state "
            f"--storage-root {service.storage} --job jobs/{JOB}")
    say(f"  {options.bin}/lory-corpus inspect {manifest.parent}")


def empty_run_folder(folder):
    """The folder of this run, that of the last one emptied.

    Its lock, which must be kept, says that a quickstart is at work there.
    """
    work = folder / "run"
    lock = open(folder / "run.lock", "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ServiceError(f"another quickstart works in {folder}; wait for it "
                           "or choose another --folder") from None
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return work, lock


def main():
    options = parse_arguments()
    folder = Path(options.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    work, lock = empty_run_folder(folder)
    manifest = make_corpus(options, folder)
    service = Service(options.bin, work, [folder])
    try:
        heading("service: one coordinator, two workers")
        service.start_coordinator()
        for name in ("worker-a", "worker-b"):
            service.start_worker(name)
        say(f"   coordinator at {service.address}, page http://{service.http}/")
        service.ctl("dataset", "register", "demo", manifest)
        submit = ["job", "submit", "-f", options.job, "--name", JOB]
        if options.steps:
            submit += ["--set", f"steps={options.steps}"]
        submitted = time.monotonic()
        service.ctl(*submit)
        heading("training")
        killing = Killing(service, "worker-b")
        wait_until(lambda: int(service.job(JOB).get("progress", {})
                               .get("step", 0)) > 0, "the first step", 60)
        say(f"   submit to first step: {time.monotonic() - submitted:.1f} s")
        job, first, last = follow(service, killing, not options.no_kill)
        seconds = time.monotonic() - submitted
        heading("audit: lory-verify")
        samples = audit(service, options)
        summarise(manifest, job, first, last, killing, samples, seconds)
        check_experts(job, options.min_active)
        next_steps(service, options, manifest)
        say(f"\nall in all {time.monotonic() - started:.0f} s")
        if options.keep:
            say("running until Ctrl-C")
            try:
                while service.coordinator.alive():
                    time.sleep(1)
            except KeyboardInterrupt:
                pass
    finally:
        service.stop()
        lock.close()


if __name__ == "__main__":
    try:
        main()
    except ServiceError as error:
        sys.exit(f"quickstart: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
