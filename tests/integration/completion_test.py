"""The completion scripts in the shells they are for, where installed.

Run by ctest; by hand: completion_test.py --bin build/dev/bin. No coordinator
is needed: without one names are not completed, words are.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build/dev/bin"

# What the shell would do with the candidates: print them.
ASK = {
    "bash": """
        source <(loryctl completion bash)
        compopt() { echo FILES; }
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _loryctl
        printf '%s\\n' "${COMPREPLY[@]}"
        """,
    "zsh": """
        compdef() { : }; compadd() { shift; print -l -- "$@" }
        _files() { print FILES }
        source <(loryctl completion zsh)
        words=("$@"); CURRENT=$#
        _loryctl
        """,
    "fish": """
        loryctl completion fish | source
        complete -C (string join ' ' -- $argv)
        """,
}


def run(shell, script, words=()):
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    name = [] if shell == "fish" else [shell]  # $0 of the others
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "zz-job.yaml").touch()
        environment = dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}",
                           HOME=folder)
        environment.pop("LORY_SERVER", None)
        answer = subprocess.run([shell, *flags, "-c", script, *name, *words],
                                cwd=folder, env=environment, timeout=60,
                                capture_output=True, text=True, check=False)
    return answer.stdout.split("\n"), answer.stderr


INSTALLED = [shell for shell in ASK if shutil.which(shell)]


class CompletionTest(unittest.TestCase):
    def test_a_word_that_is_begun_is_finished(self):
        for shell in INSTALLED:
            with self.subTest(shell):
                out, err = run(shell, ASK[shell], ["loryctl", "job", "ti"])
                self.assertIn("timeline", out)
                self.assertNotIn("list", out)
                self.assertEqual(err, "")

    def test_a_new_word_offers_all_that_fit(self):
        for shell in INSTALLED:
            with self.subTest(shell):
                out, _ = run(shell, ASK[shell], ["loryctl", "job", ""])
                self.assertTrue({"list", "submit", "watch"} <= set(out), out)

    def test_where_a_file_is_wanted_files_are_offered(self):
        for shell in INSTALLED:
            with self.subTest(shell):
                out, _ = run(shell, ASK[shell],
                             ["loryctl", "job", "submit", "-f", "zz"])
                files = "zz-job.yaml" if shell == "fish" else "FILES"
                self.assertIn(files, out)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_needs_no_compinit_before(self):
        out, err = run("zsh", "source <(loryctl completion zsh);"
                              "print ${_comps[loryctl]}")
        self.assertEqual(out[0], "_loryctl")
        self.assertEqual(err, "")

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_takes_it_as_a_file_of_fpath(self):
        out, err = run("zsh", """
            mkdir f; loryctl completion zsh > f/_loryctl; fpath=($PWD/f $fpath)
            compadd() { shift; print -l -- "$@" }
            autoload -Uz compinit; compinit -u -D
            words=(loryctl job ti); CURRENT=3; _loryctl
            """)
        self.assertEqual(out[0], "timeline", err)


def main():
    global BIN
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=str(BIN))
    BIN = Path(parser.parse_args().bin).resolve()
    unittest.main(argv=["completion_test"], verbosity=2)


if __name__ == "__main__":
    main()
