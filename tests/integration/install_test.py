#!/usr/bin/env python3
"""Installs a build into a new prefix and uses it as strangers would.

usage: install_test.py --build build/dev

Every installed program says its help and its version; a project that knows
only the prefix builds a client of the API and asks the installed coordinator.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "quickstart"))

from service import Process  # noqa: E402


def run(*command):
    """Its standard output; what it says when it fails goes to ours."""
    done = subprocess.run([str(part) for part in command], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def check_programs(prefix):
    programs = sorted((prefix / "bin").iterdir())
    for program in programs:
        run(program, "--help")
        print(f"  {run(program, '--version').strip()}")
    names = {program.name for program in programs}
    missing = {"lory-coordinator", "lory-worker", "loryctl",
               "lory-verify"} - names
    if missing:
        sys.exit(f"not installed: {', '.join(sorted(missing))}")


def check_consumer(prefix, folder):
    source = ROOT / "tests" / "integration" / "install_consumer"
    run("cmake", "-S", source, "-B", folder / "consumer", "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder / "consumer")
    (folder / "storage").mkdir()
    coordinator = Process(
        "coordinator",
        [prefix / "bin" / "lory-coordinator", "--state", folder / "state",
         "--storage-root", folder / "storage", "--listen", "127.0.0.1:0",
         "--http", "127.0.0.1:0"], folder)
    address = coordinator.start()["grpc"]
    try:
        said = run(folder / "consumer" / "list_jobs", address).strip()
    finally:
        coordinator.stop()
    if said != "0 jobs":
        sys.exit(f"the consumer's client said: {said}")
    print(f"  a client built against {prefix}: {said}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lory-install-"))
    try:
        run("cmake", "--install", options.build, "--prefix", folder / "prefix")
        check_programs(folder / "prefix")
        check_consumer(folder / "prefix", folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
