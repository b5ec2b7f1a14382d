#!/usr/bin/env python3
"""Runs a study on the demo corpus, with a service of its own on this machine.

    tools/quickstart/study.py docs/studies/small/study.yaml

Builds the quickstart's corpus twice, by similarity and in random order, which
become the datasets `demo` and `demo-random`, with Python kept out of training;
starts a coordinator and two workers of one slot and one thread each; runs
`loryctl study run`. What it built and trained stays in the folder: run again,
it goes on where it was.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from service import Service, ServiceError  # noqa: E402

# Names of the datasets and their orders of documents.
DATASETS = {"demo": "similarity", "demo-random": "random"}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="study.yaml")
    parser.add_argument("--to", help="where the results go (default: as loryctl)")
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--folder", default=str(ROOT / ".cache/study"),
                        help="where corpora, state and checkpoints go "
                        "(default: .cache/study)")
    parser.add_argument("--max-mb", type=int, default=24,
                        help="megabytes of text (default: 24)")
    parser.add_argument("--workers", type=int, default=2,
                        help="workers, of one slot and one thread (default: 2)")
    return parser.parse_args()


def run(command):
    subprocess.run([str(part) for part in command], check=True)


def make_dataset(options, folder, order):
    """Builds the corpus in this order unless it is there; its manifest."""
    corpus = folder / f"corpus-{options.max_mb}mb"
    corpus.mkdir(parents=True, exist_ok=True)
    text = corpus / "text.jsonl"
    if not text.exists():
        run([ROOT / "tools/demo_corpus", "--out", text,
             "--max-mb", options.max_mb])
    spec = (HERE / "corpus.yaml").read_text()
    spec = spec.replace("order: similarity", f"order: {order}")
    spec = spec.replace("output: dataset", f"output: {order}")
    spec += "holdout_domains: [python]\n"
    path = corpus / f"{order}.yaml"
    path.write_text(spec)
    run([Path(options.bin) / "lory-corpus", "build", path])
    return corpus / order / "manifest.json"


def register(service, name, manifest):
    """Registers the dataset; one of another corpus is an error, because the jobs
    that are there were trained on that."""
    known = service.ctl("dataset", "list", "-o", "name").split()
    if f"datasets/{name}" not in known:
        service.ctl("dataset", "register", name, manifest)
        return
    there = service.json("dataset", "get", name)["manifest_path"]
    if Path(there) != manifest:
        raise ServiceError(
            f"the service in {service.folder} has a dataset {name} of {there}, not "
            f"of {manifest}: give --max-mb as before, or another --folder")


def main():
    options = parse_arguments()
    folder = Path(options.folder).resolve()
    manifests = {name: make_dataset(options, folder, order)
                 for name, order in DATASETS.items()}
    with Service(options.bin, folder / "service", [folder]) as service:
        service.start_coordinator()
        for number in range(1, options.workers + 1):
            service.start_worker(f"worker-{number}")
        for name, manifest in manifests.items():
            register(service, name, manifest)
        command = [service.binaries / "loryctl", "--server", service.address,
                   "study", "run", options.study]
        command += ["--to", options.to] if options.to else []
        return subprocess.run([str(part) for part in command],
                              check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServiceError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
