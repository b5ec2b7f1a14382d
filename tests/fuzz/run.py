#!/usr/bin/env python3
"""Runs every fuzzer for a while, and says what each did.

    python3 tests/fuzz/run.py --bin build/fuzz/bin [--seconds 60] [NAME...]

Inputs that found new code are kept beside the programs' folder, in corpus/NAME,
and the next run begins with them; what broke a program lies in findings/NAME,
is tried first, and fails the run until it no longer breaks anything.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Longer inputs find little more, slower; a parser that needs more memory or
# time for them than this has a hole.
LIMITS = ["-max_len=4096", "-rss_limit_mb=2048", "-timeout=10"]


class Fuzzer:
    def __init__(self, program, environment):
        self.program = program
        self.name = program.name.removesuffix("_fuzz")
        self.environment = environment
        top = program.parent.parent
        self.seeds = top / "seeds" / self.name
        self.corpus = top / "corpus" / self.name
        self.findings = top / "findings" / self.name
        for folder in (self.corpus, self.findings):
            folder.mkdir(parents=True, exist_ok=True)

    def call(self, *arguments):
        return subprocess.run([self.program, *LIMITS, *arguments],
                              env=self.environment, capture_output=True,
                              text=True, errors="replace")

    def run(self, seconds):
        """(a line of the table, whether nothing was found)"""
        broken = [path for path in sorted(self.findings.iterdir())
                  if self.call(path).returncode != 0]
        if broken:
            return self.told("broken by what an earlier run found"), broken
        done = self.call(f"-max_total_time={seconds}", "-print_final_stats=1",
                         f"-artifact_prefix={self.findings}/", self.corpus,
                         self.seeds)
        log = self.findings.with_suffix(".log")
        log.write_text(done.stderr, encoding="utf-8")
        runs = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
        covered = re.findall(r"cov: (\d+)", done.stderr)
        if done.returncode == 0 and runs and covered:
            return self.told(f"{runs[-1]:>10} runs, {covered[-1]:>5} edges"), []
        broken = sorted(self.findings.iterdir()) or [log]
        return self.told("BROKEN"), broken

    def told(self, what):
        return f"{self.name:<20} {what}"

    def replay(self, path):
        if path.suffix == ".log":
            return f"it says why in {path}"
        return f"{self.program} {path}"


def report(fuzzer, seconds):
    line, broken = fuzzer.run(seconds)
    commands = [f"  again: {fuzzer.replay(path)}" for path in broken]
    print("\n".join([line, *commands]), flush=True)
    return not broken


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=60, help="of each")
    parser.add_argument("--jobs", type=int, default=1, help="at once")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    names = options.names or [path.name.removesuffix("_fuzz.cc")
                              for path in sorted(HERE.glob("*_fuzz.cc"))]
    subprocess.run([sys.executable, HERE / "seeds.py",
                    options.bin.parent / "seeds"], check=True)
    # In memory where there is such a place: some inputs are read as files.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    scratch = tempfile.mkdtemp(dir=memory, prefix="lory-fuzz-")
    environment = dict(os.environ, TEST_TMPDIR=scratch)
    fuzzers = [Fuzzer(options.bin.absolute() / f"{name}_fuzz", environment)
               for name in names]
    try:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            whole = list(pool.map(lambda one: report(one, options.seconds),
                                  fuzzers))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"fuzz: {whole.count(True)} of {len(whole)} fuzzers found nothing")
    return 0 if all(whole) else 1


if __name__ == "__main__":
    sys.exit(main())
