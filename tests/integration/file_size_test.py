"""Programs whose standard output reaches `ulimit -f`, or whose disk is full, say
so, and do not die.

Run by ctest; by hand: file_size_test.py --bin build/dev/bin. A program that is
not built is passed over.
"""

import argparse
import json
import resource
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build/dev/bin"

# What needs no service, no model and no dataset.
LINES = {
    "loryctl": ["job", "submit", "-f", ROOT / "tools/quickstart/job.yaml",
                "--dry-run", "--offline"],
    "lory-model": ["inspect", "--preset", "tiny"],
    "lory-corpus": ["tokenize", "--tokenizer", "tokenizer.json"],
}
TOKENIZER = {"model": {"type": "BPE", "byte_fallback": True, "merges": [],
                       "vocab": {f"<0x{b:02X}>": b for b in range(256)}}}


def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))


class FileSizeTest(unittest.TestCase):
    def run_limited(self, name):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "tokenizer.json").write_text(
                json.dumps(TOKENIZER))
            with open(Path(folder) / "out", "wb") as out:
                return subprocess.run(
                    [BIN / name, *LINES[name]], cwd=folder, stdout=out,
                    stderr=subprocess.PIPE, input="aaaa", text=True,
                    preexec_fn=limit, timeout=60, check=False)

    def test_standard_output_that_is_cut_off_is_told(self):
        for name in LINES:
            if not (BIN / name).exists():
                continue
            with self.subTest(name):
                answer = self.run_limited(name)
                self.assertEqual(answer.returncode, 1, answer.stderr)
                self.assertIn("standard output", answer.stderr)

    def test_help_that_is_not_written_is_told(self):
        programs = [path for path in BIN.iterdir()
                    if path.name.startswith("lory")]
        self.assertGreaterEqual(len(programs), 4)
        for program in programs:
            with self.subTest(program.name), open("/dev/full", "wb") as out:
                answer = subprocess.run(
                    [program, "--help"], stdout=out, stderr=subprocess.PIPE,
                    text=True, timeout=60, check=False)
                self.assertEqual(answer.returncode, 1, answer.stderr)
                self.assertIn("standard output", answer.stderr)

    def test_every_program_ignores_the_signal(self):
        mains = [path for top in ("coordinator", "worker", "tools")
                 for path in (ROOT / top).rglob("main.cc")]
        self.assertGreaterEqual(len(mains), 8)
        for path in mains:
            with self.subTest(path):
                self.assertIn("IgnoreFileSizeSignal();", path.read_text())


def main():
    global BIN
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=str(BIN))
    BIN = Path(parser.parse_args().bin).resolve()
    unittest.main(argv=["file_size_test"], verbosity=2)


if __name__ == "__main__":
    main()
