#!/usr/bin/env python3
"""Lets the disk run full in every stage of lory-corpus, and makes room again.

    tests/integration/corpus_full_disk_test.py --program build/dev/bin/lory-corpus
        [--seed N]

Builds a corpus undisturbed and sees how many pages every stage leaves. Then it
builds the same on a file system of just so many pages that the disk is full at
the begin of each stage, in its middle and with its last page, one after the
other. Each such build must end with exit code 1 and one line that names stage
and file and how much room there was, leave no file of that stage that could be
taken for a whole one, and the next, given a little more room, must go on where
it was. In the end every file must be that of the undisturbed build. Exit code
77 where a file system of our own may not be mounted.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from corpus_crash_test import (hashes, write_encoded, write_plain,
                               write_tokens, write_varied)

STAGES = ["ingest", "split", "tokenizer", "tokenize", "embed", "neighbors",
          "duplicates", "mixture", "order", "pack"]
# With an encoder the vectors are on disk twice while they are made, so that how
# full it is at the begin of what follows cannot be told from what is left.
TO_EMBED = STAGES[:STAGES.index("embed") + 1]
PAGE = os.sysconf("SC_PAGE_SIZE")
INSIDE = "LORY_FULL_DISK_TEST"  # set once mounts are this program's own
SKIPPED = 77


def pages(path):
    return -(-path.stat().st_size // PAGE)


def pages_of_stages(folder):
    """What each stage has on disk when the build is done."""
    used = {}
    for stage in STAGES:
        stages = folder / "out/stages" / stage
        used[stage] = sum(pages(path) for path in stages.iterdir())
        if stage == "pack":  # its files are the dataset
            record = json.loads((stages / "stage.json").read_text())
            used[stage] += sum(pages(folder / "out" / output["file"])
                               for output in record["outputs"])
    return used


def mount(folder, count, *options):
    subprocess.run(["mount", "-t", "tmpfs",
                    "-o", ",".join([f"size={count * PAGE}", *options]),
                    "tmpfs", folder], check=True)


def build(program, folder):
    run = subprocess.run([program, "build", folder / "corpus.yaml"],
                         capture_output=True, text=True, check=False)
    return run.returncode, run.stderr.splitlines()


def check(right, *what):
    if not right:
        sys.exit("\n".join(str(part) for part in what))


def verify(program, dataset):
    run = subprocess.run([program, "verify", dataset], capture_output=True,
                         text=True, check=False)
    check(run.returncode == 0, run.stderr)


def check_full(program, folder, stage, room):
    """A build that must find the disk full in `stage`."""
    code, words = build(program, folder)
    where = f"{stage} with {room} pages of its own"
    check(code == 1, where, f"exit code {code}", *words)
    errors = [line for line in words if line.startswith("lory-corpus: ")]
    check(len(errors) == 1, where, *words)
    expected = (rf"lory-corpus: {stage}: (writing|creating|syncing) "
                rf"{re.escape(str(folder))}/out/\S+: No space left on device: "
                r"\d+\.\d\d MB were free when the stage began; make room and "
                "run the same command again: it goes on with this stage")
    check(re.fullmatch(expected, errors[0]), where, errors[0])
    before = STAGES[:STAGES.index(stage)]
    done = [line.split()[0] for line in words if line.endswith(" up to date")
            or line.endswith(" s)")]
    check(done == before, where, "ready: ", done, *words)
    out = folder / "out"
    check(not (out / "stages" / stage / "stage.json").exists(), where)
    if (out / "manifest.json").exists():  # the last of a dataset
        verify(program, out)
    left = [path for path in out.rglob(".lory-tmp-*")]
    check(not left, where, "left behind:", *left)


def fill(program, inputs, calm, folder, stages):
    """Makes the disk full again and again; how often."""
    used = pages_of_stages(calm)
    expected = hashes(calm)
    # The specification and the input are not on the disk that gets full.
    shutil.copytree(inputs, folder)
    out = folder / "out"
    out.mkdir()
    mount(out, 1)
    try:
        return fill_stages(program, folder, used, expected, stages)
    finally:
        subprocess.run(["umount", out], check=True)


def fill_stages(program, folder, used, expected, stages):
    out = folder / "out"
    full = 0
    before = 1  # the lock
    for stage in stages:
        rooms = sorted({0, used[stage] // 2, used[stage] - 1})
        for room in rooms:
            mount(out, before + room, "remount")
            check_full(program, folder, stage, room)
            full += 1
        before += used[stage]
    mount(out, 2 * sum(used.values()), "remount")
    code, words = build(program, folder)
    check(code == 0, f"exit code {code} with all the room that is needed",
          *words)
    found = hashes(folder)
    odd = sorted(file for file in expected.keys() | found.keys()
                 if expected.get(file) != found.get(file))
    check(not odd, "these differ from an undisturbed build:", *odd)
    verify(program, out)
    return full


def check_taken(program, folder):
    """A second build into a folder that another one writes to."""
    lock = folder / "out/.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import fcntl, sys\n"
         "lock = open(sys.argv[1])\n"
         "fcntl.flock(lock, fcntl.LOCK_EX)\n"
         "print('locked', flush=True)\n"
         "sys.stdin.read()\n", lock],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    before = hashes(folder)
    code, words = build(program, folder)
    process = lock.read_text().strip()
    holder.communicate()
    check(code == 1, f"exit code {code} though another build is at it", *words)
    check(words == [f"lory-corpus: another lory-corpus (process {process}) is "
                    f"building into {folder}/out: wait for it or stop it"],
          *words)
    check(hashes(folder) == before, "a refused build changed files")
    code, words = build(program, folder)
    check(code == 0, "the folder is free again", *words)


def alone():
    """Whether mounts of this program are seen by no other."""
    if os.environ.get(INSIDE):
        return True
    made = subprocess.run(["unshare", "--mount", "true"], check=False,
                          capture_output=True)
    if made.returncode != 0:
        return False
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    return False


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not alone():
        print("skipped: may not mount a file system of its own")
        return SKIPPED
    program = Path(options.program).resolve()
    with tempfile.TemporaryDirectory(prefix="lory-full-") as name:
        root = Path(name)
        for write, stages in ((write_plain, STAGES), (write_varied, STAGES),
                              (write_tokens, STAGES),
                              (write_encoded, TO_EMBED)):
            inputs, calm = root / "inputs", root / "calm"
            inputs.mkdir()
            write(inputs, options.seed, program)
            shutil.copytree(inputs, calm)
            code, words = build(program, calm)
            check(code == 0, *words)
            full = fill(program, inputs, calm, root / "full", stages)
            print(f"{write.__name__}: the disk was full {full} times in "
                  f"{len(stages)} stages; the same bytes in the end", flush=True)
            if write is write_plain:
                check_taken(program, calm)
            for folder in (inputs, calm, root / "full"):
                shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
