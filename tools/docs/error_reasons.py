#!/usr/bin/env python3
"""Compares the table of error reasons in docs/protocol.md with the code.

  tools/docs/error_reasons.py         say which rows are missing or stale

What a reason means and what mends it is for a person to write; that each one
the code can answer has its row, and with which code, is checked here.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/protocol.md"
FOLDERS = ("common", "coordinator", "worker", "tools")
# Defines ErrorWithReason, and passes on what came over the wire.
PASSES_ON = ("common/base/error_detail.h", "common/rpc/status_convert.cc")

CALL = re.compile(r"\bErrorWithReason\(\s*([\w:.]+(?:\(\))?),\s*"
                  r"(?:\"(\w+)\"|(\w+)),")
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([A-Z_, ]+?) \| (.+?) \| (.+?) \|$",
                 re.MULTILINE)


def code_name(expression):
    """kNotFound -> NOT_FOUND; an expression that is no constant -> None."""
    constant = re.fullmatch(r"absl::StatusCode::k(\w+)", expression)
    if not constant:
        return None
    return re.sub(r"(?<!^)([A-Z])", r"_\1", constant.group(1)).upper()


def answered():
    """Reason -> codes it comes with in the sources; None: any."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.cc")):
            if str(path.relative_to(ROOT)) in PASSES_ON:
                continue
            text = path.read_text()
            for code, literal, variable in CALL.findall(text):
                if literal:
                    reasons = [literal]
                elif variable == "absl":  # the definition itself
                    continue
                else:
                    chosen = re.search(rf"\b{variable} = ([^;]+);", text)
                    reasons = re.findall(r'"(\w+)"', chosen.group(1))
                for reason in reasons:
                    found.setdefault(reason, set()).add(code_name(code))
    return found


def complaints():
    rows = {reason: set(codes.split(", "))
            for reason, codes, _, _ in ROW.findall(PAGE.read_text())}
    listed = [row[0] for row in ROW.findall(PAGE.read_text())]
    if listed != sorted(set(listed)):
        yield "the rows are not in order, or one is there twice"
    for reason, codes in sorted(answered().items()):
        if reason not in rows:
            yield f"{reason} is answered by the code and has no row"
        elif None not in codes and codes != rows[reason]:
            yield (f"{reason} comes with {', '.join(sorted(codes))}, its row "
                   f"says {', '.join(sorted(rows[reason]))}")
    for reason in sorted(set(rows) - set(answered())):
        yield f"{reason} has a row and is answered by nothing"


def main():
    found = list(complaints())
    for text in found:
        print(f"{PAGE.relative_to(ROOT)}: {text}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
