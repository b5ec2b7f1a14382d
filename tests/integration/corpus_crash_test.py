#!/usr/bin/env python3
"""Kills lory-corpus at random moments and compares what comes out.

    tests/integration/corpus_crash_test.py --program build/dev/bin/lory-corpus
        [--kills 6] [--seed N]

Builds a dataset undisturbed, then again and again into other folders, each time
with kill -9 somewhere on the way, until that many kills have hit a running
build. The build that goes on after a kill must give the same bytes: shards,
manifest, and what every stage left. Exit code 1 when one does not.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Kills in a row before a build may end.
MOST_KILLS = 4
SPEC = """name: crash
output: out
inputs:
  - path: in.jsonl
held_out: {fraction: 0.05}
tokenizer: {vocabulary_size: 600}
embed: {dimensions: 256}
neighbors: {near_duplicate: 0.9}
sequence_length: 64
shard_mb: 1
"""


def write_corpus(path, seed):
    chance = random.Random(seed)
    lines = []
    for i in range(1500):
        topic = chance.randrange(12)
        words = [f"w{topic}x{chance.randrange(60)}" for _ in range(120)]
        lines.append({"id": f"d{i}", "text": " ".join(words),
                      "domain": f"topic-{topic % 3}"})
        if i % 10 == 0:  # a near copy
            lines.append({**lines[-1], "id": f"c{i}",
                          "text": " ".join(words[:-1])})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def start(program, folder):
    return subprocess.Popen([program, "build", folder / "corpus.yaml"],
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


def finish(program, folder):
    build = start(program, folder)
    _, words = build.communicate()
    if build.returncode != 0:
        sys.exit(f"the build failed: {words.decode()}")


def hashes(folder):
    """Name to hash of all that is there, but for the lock."""
    found = {}
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file() and path.name != ".lock":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found


def kill_while_building(program, folder, seconds):
    """Whether the kill hit a build that was still running."""
    build = start(program, folder)
    try:
        build.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        os.kill(build.pid, signal.SIGKILL)
        build.communicate()
        return build.returncode == -signal.SIGKILL


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    program = Path(options.program).resolve()
    chance = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lory-crash-") as name:
        root = Path(name)
        calm = root / "calm"
        calm.mkdir()
        write_corpus(calm / "in.jsonl", options.seed)
        (calm / "corpus.yaml").write_text(SPEC)
        begin = time.monotonic()
        finish(program, calm)
        took = time.monotonic() - begin
        expected = hashes(calm)
        kills = builds = 0
        while kills < options.kills:
            folder = root / "killed"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in ("in.jsonl", "corpus.yaml"):
                shutil.copy(calm / file, folder)
            for _ in range(chance.randint(1, MOST_KILLS)):
                if not kill_while_building(program, folder,
                                           chance.uniform(0, took)):
                    break
                kills += 1
            finish(program, folder)
            builds += 1
            found = hashes(folder)
            if found != expected:
                odd = sorted(file for file in expected.keys() | found.keys()
                             if expected.get(file) != found.get(file))
                sys.exit(f"after {kills} kills these differ: {', '.join(odd)}")
    print(f"{kills} kills over {builds} builds of {took:.1f} s, "
          f"{len(expected)} files each: all the same bytes")


if __name__ == "__main__":
    main()
