#!/usr/bin/env python3
"""Memory that each stage of lory-corpus holds, by the size of the corpus.

    tests/bench/corpus_memory.py --program build/release/bin/lory-corpus
        [--megabytes 20 80 ...] [--words 200] [--folder F] [-- key: value ...]

Makes corpora of made-up text (words by Zipf's law, one document in twenty a near
copy), builds each once, and then runs each stage alone in a process of its own
(--redo), so that no stage is charged with what an earlier one left. Printed is
the largest RssAnon of /proc/PID/status, looked at every millisecond: memory that
the system cannot drop, without mapped files. The last columns say what a
document more costs, from the smallest to the largest corpus, and what is left
without any. Lines of YAML behind `--` are added to the spec.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

STAGES = ["ingest", "split", "tokenizer", "tokenize", "embed", "neighbors",
          "duplicates", "mixture", "order", "pack"]
SPEC = """name: memory
output: out
inputs: [{path: in.jsonl}]
sequence_length: 1024
"""
VOCABULARY = 200_000
ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB", re.M)


def write_corpus(path, megabytes, words):
    """Documents of `words` words on average; how many."""
    chance = random.Random(megabytes)
    # Drawn once: choosing by weight is slow.
    drawn = [f"w{int(VOCABULARY ** chance.random())}x" for _ in range(1 << 20)]
    count = size = 0
    before = []
    with open(path, "w", encoding="utf-8") as file:
        while size < megabytes * 1e6:
            first = chance.randrange(len(drawn) - 4 * words)
            own = drawn[first:first + chance.randrange(words // 2,
                                                       words * 3 // 2)]
            if before and count % 20 == 0:
                own = before[:-1] + ["changed"]
            text = " ".join([f"d{count}", *own])
            file.write(json.dumps({"id": str(count), "text": text,
                                   "domain": f"d{count % 4}"}) + "\n")
            before = own
            count += 1
            size += len(text)
    return count


def peak(command):
    """The largest RssAnon of a program, in bytes."""
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    words = []
    reader = threading.Thread(target=lambda: words.append(run.stderr.read()))
    reader.start()
    status = Path(f"/proc/{run.pid}/status")
    most = 0
    while run.poll() is None:
        found = ANONYMOUS.search(status.read_text())
        most = max(most, int(found.group(1)) * 1024 if found else 0)
        time.sleep(0.001)
    reader.join()
    if run.returncode != 0:
        sys.exit(words[0])
    return most


def measure(program, folder, megabytes, words, extra):
    """Documents, and the peak of each stage."""
    folder.mkdir()
    count = write_corpus(folder / "in.jsonl", megabytes, words)
    (folder / "corpus.yaml").write_text(SPEC + "".join(extra))
    build = [program, "build", folder / "corpus.yaml"]
    peaks = {"all": peak(build), "none": peak(build)}
    for stage in STAGES:
        peaks[stage] = peak(build + ["--redo", stage])
    return count, peaks


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[20, 80])
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--folder", help="where the corpora are made")
    parser.add_argument("extra", nargs="*", help="lines of the spec")
    options = parser.parse_args()
    extra = [line + "\n" for line in options.extra]
    found = []
    with tempfile.TemporaryDirectory(prefix="lory-memory-",
                                     dir=options.folder) as name:
        for megabytes in sorted(set(options.megabytes)):
            found.append(measure(Path(options.program).resolve(),
                                 Path(name) / str(megabytes), megabytes,
                                 options.words, extra))
    columns = "".join(f"{count:>12,}" for count, _ in found)
    print(f"{'documents':<12}{columns}  bytes a document   MB of none")
    (few, smallest), (many, largest) = found[0], found[-1]
    for stage in ["none", *STAGES, "all"]:
        values = "".join(f"{peaks[stage] / 1e6:>9.1f} MB" for _, peaks in found)
        slope = ((largest[stage] - smallest[stage]) / (many - few)
                 if many > few else 0)
        print(f"{stage:<12}{values}{slope:>18.1f}"
              f"{(smallest[stage] - slope * few) / 1e6:>13.1f}", flush=True)


if __name__ == "__main__":
    main()
