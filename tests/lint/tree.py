"""The source tree as the lint rules see it: files, text, code without words."""

import fnmatch
import os
import re
from typing import NamedTuple

# Where the project's own sources are; what else lies about is not ours.
FOLDERS = ("proto", "common", "coordinator", "worker", "tools", "deploy",
           "tests", "docs", "cmake", ".ci")
SKIPPED = {"__pycache__", "fixtures"}


class Finding(NamedTuple):
    path: str
    line: int
    message: str


class Allowance(NamedTuple):
    rule: str
    pattern: str
    reason: str


def read_allowances(path):
    """Lines `rule path-pattern  # reason`; a reason is not optional."""
    allowances = []
    if not os.path.exists(path):
        return allowances
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            entry, _, reason = line.partition("#")
            if not entry.strip():
                continue
            words = entry.split()
            if len(words) != 2 or not reason.strip():
                raise SystemExit(f"{path}:{number}: want: rule path  # reason")
            allowances.append(Allowance(words[0], words[1], reason.strip()))
    return allowances


class Tree:
    def __init__(self, root, allow_file=None):
        self.root = root
        self.allowances = read_allowances(allow_file) if allow_file else []
        self.used = set()
        self._text = {}
        self._code = {}
        self._files = sorted(self._walk())

    def _walk(self):
        for name in os.listdir(self.root):
            if os.path.isfile(os.path.join(self.root, name)):
                yield name
        for folder in FOLDERS:
            top = os.path.join(self.root, folder)
            for base, folders, names in os.walk(top):
                folders[:] = [f for f in folders if f not in SKIPPED]
                for name in names:
                    yield os.path.relpath(os.path.join(base, name), self.root)

    def files(self, *endings):
        return [f for f in self._files if not endings or f.endswith(endings)]

    def cxx(self):
        return self.files(".h", ".cc", ".cu", ".cuh")

    def exists(self, path):
        return os.path.isfile(os.path.join(self.root, path))

    def text(self, path):
        if path not in self._text:
            with open(os.path.join(self.root, path), "rb") as file:
                self._text[path] = file.read().decode("utf-8", "replace")
        return self._text[path]

    def code(self, path):
        """C++ with comments and literals blanked, line numbers kept."""
        if path not in self._code:
            self._code[path] = blank_words(self.text(path))
        return self._code[path]

    def allowed(self, rule, path):
        for allowance in self.allowances:
            if allowance.rule == rule and fnmatch.fnmatch(
                    path, allowance.pattern):
                self.used.add(allowance)
                return True
        return False


WORDS = re.compile(
    r'R"(?P<mark>[^\s()\\]{0,16})\((?:.|\n)*?\)(?P=mark)"'  # raw strings
    r'|//[^\n]*|/\*(?:.|\n)*?\*/'
    r'|(?<!\d)\'(?:\\.|[^\'\\\n])+\'|"(?:\\.|[^"\\\n])*"')
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)',
                     re.MULTILINE)


def blank_words(text):
    def blank(match):
        kept = match.group(0)
        if kept.startswith('"'):
            return '"' + " " * (len(kept) - 2) + '"'
        return re.sub(r"[^\n]", " ", kept)
    return WORDS.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def includes(text):
    """(line, path, whether quoted) of every #include."""
    for match in INCLUDE.finditer(text):
        yield (line_of(text, match.start()), match.group(1) or match.group(2),
               match.group(1) is not None)
