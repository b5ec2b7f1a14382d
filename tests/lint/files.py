"""Files as a whole: guards, format, build lists, names, docs."""

import os
import re
import shutil
import subprocess

from tree import Finding, line_of

# Hosts a link may point to: papers, specifications, and example names.
LINK_HOSTS = re.compile(
    r"^(\{.*|\[::1?\]|(127\.0\.0\.1|0\.0\.0\.0|localhost|[\w.-]*\.example"
    r"|(www\.)?(github\.com|arxiv\.org|doi\.org|apache\.org|debian\.org"
    r"|keepachangelog\.com|semver\.org|w3\.org|prometheus\.io|grafana\.com"
    r"|google\.aip\.dev|huggingface\.co|sqlite\.org|kernel\.org"
    r"|schemas?\.[\w.-]+)))(:[\w${}%]+)?$")
LINK = re.compile(r"\bhttps?://([^\s/\"'<>)`\\]+)")
# A folder of one machine, such as somebody's home.
MACHINE_PATH = re.compile(r"(?<![\w.$}~*-])/(?:home|root|Users|work|mnt)/")
METRIC = re.compile(
    r'"(lory_(?:coordinator|worker|trainer|server|process|build)_[a-z0-9_]+)"')


def guards(tree):
    for path in tree.files(".h", ".cuh"):
        want = "LORY_" + re.sub(r"[/.\-]", "_", path).upper() + "_"
        text = tree.text(path)
        if not re.search(rf"#ifndef {want}\n#define {want}\n", text) or \
                not text.rstrip().endswith(f"#endif  // {want}"):
            yield Finding(path, 1, f"its guard must be {want}, and named "
                          "again at #endif")


def formatter():
    for name in ("clang-format-14", "clang-format"):
        program = shutil.which(name)
        if program:
            version = subprocess.run([program, "--version"], check=True,
                                     capture_output=True, text=True).stdout
            if "version 14." in version:
                return program
    return None


def formatted(tree):
    program = formatter()
    style = os.path.join(os.path.dirname(__file__), "../../.clang-format")
    if program is None:
        yield Finding(".clang-format", 1, "no clang-format 14 here: run "
                      "tools/setup")
        return
    paths = tree.cxx()
    if not paths:
        return
    done = subprocess.run(
        [program, "--dry-run", f"--style=file:{style}"] + paths,
        cwd=tree.root, capture_output=True, text=True)
    seen = set()
    for match in re.finditer(r"^([^\s:]+):(\d+):\d+: (warning|error)",
                             done.stderr, re.MULTILINE):
        if match.group(1) not in seen:
            seen.add(match.group(1))
            yield Finding(match.group(1), int(match.group(2)),
                          "not as clang-format 14 has it: clang-format-14 -i")


def built(tree):
    """Every source is in a target: one that is not built proves nothing."""
    listed, globbed = set(), set()  # files; folders of lory_test's FOLDERS
    for path in tree.files("CMakeLists.txt"):
        folder = os.path.dirname(path)
        for word in re.findall(r"[\w./{}$-]+\.(?:cc|cu)\b", tree.text(path)):
            word = word.replace("${PROJECT_SOURCE_DIR}/", "//")
            word = word.replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")
            at = word[2:] if word.startswith("//") else \
                os.path.normpath(os.path.join(folder, word))
            listed.add(at)
        for folders in re.findall(r"FOLDERS ((?:[a-z]\S*\s+)+)", tree.text(path)):
            globbed.update(os.path.join(folder, word)
                           for word in folders.split())
    for path in tree.files(".cc", ".cu"):
        if path not in listed and os.path.dirname(path) not in globbed:
            yield Finding(path, 1, "in no CMakeLists.txt: nobody builds it")


def aliases(tree):
    """lory::x in a DEPS list must be made by somebody."""
    made = {"proto"}
    used = []
    for path in tree.files("CMakeLists.txt", ".cmake"):
        text = re.sub(r"#[^\n]*", lambda m: " " * len(m.group(0)),
                      tree.text(path))
        made.update(re.findall(r"\blory_library\(\s*(\w+)", text))
        made.update(re.findall(r"\badd_library\(\s*lory::(\w+)", text))
        used += [(path, line_of(text, m.start()), m.group(1))
                 for m in re.finditer(r"\blory::(\w+)", text)]
    for path, line, name in used:
        if name not in made:
            yield Finding(path, line, f"no target lory::{name}")


def metrics_documented(tree):
    page = "docs/operations.md"
    if not tree.exists(page):
        return
    documented = tree.text(page)
    for path in tree.files(".cc", ".h"):
        if path.startswith("tests/"):
            continue
        text = tree.text(path)
        for match in METRIC.finditer(text):
            if not re.search(rf"\b{match.group(1)}\b", documented):
                yield Finding(path, line_of(text, match.start()),
                              f"{match.group(1)} is not in {page}")


def places(tree):
    """No machine's folders, no link but to what a reader may need."""
    for path in tree.files():
        text = tree.text(path)
        if path.startswith("tests/lint/") or "\0" in text[:1000]:
            continue
        for match in MACHINE_PATH.finditer(text):
            yield Finding(path, line_of(text, match.start()),
                          "a folder of some machine")
        for match in LINK.finditer(text):
            if not LINK_HOSTS.match(match.group(1).rstrip(".,;:")):
                yield Finding(path, line_of(text, match.start()),
                              f"a link to {match.group(1)}: not a host of "
                              "tests/lint/files.py")


RULES = {"guards": guards, "formatted": formatted, "built": built,
         "aliases": aliases, "metrics-documented": metrics_documented,
         "places": places}
