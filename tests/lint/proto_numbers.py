#!/usr/bin/env python3
"""What has gone out on a wire or onto a disk keeps its number and its type.

usage: proto_numbers.py [--root FOLDER]

Adds what the protos have newly to proto/numbers.txt, one element a line. A
line that stands there stays: what is no longer wanted is kept in the proto as
deprecated, or the lint rule proto-numbers says so.
"""

import argparse
import os
import re
import sys

from tree import Finding, Tree

RECORD = "proto/numbers.txt"
TOKEN = re.compile(
    r"\b(?P<kind>message|enum|oneof|service)\s+(?P<scope>\w+)\s*\{"
    r"|\brpc\s+(?P<rpc>\w+)\s*\((?P<ask>[^)]*)\)\s*returns\s*"
    r"\((?P<answer>[^)]*)\)"
    r"|(?P<type>(?:repeated\s+|optional\s+)?[\w.]+(?:<[^>]*>)?)\s+"
    r"(?P<field>\w+)\s*=\s*(?P<number>\d+)"
    r"|(?P<value>\w+)\s*=\s*(?P<constant>-?\d+)"
    r"|(?P<open>\{)|(?P<close>\})")


def elements(text):
    """(offset, line of the record) of each element of one proto."""
    code = re.sub(r"//[^\n]*|\"[^\"\n]*\"|^\s*(?:option|reserved)\b[^;]*;",
                  lambda m: " " * len(m.group(0)), text, flags=re.MULTILINE)
    scopes = [re.search(r"\bpackage\s+([\w.]+)\s*;", code).group(1)]
    for match in TOKEN.finditer(code):
        found = match.groupdict()
        # A oneof names no scope of its own: its fields are the message's.
        scope = ".".join(name for name in scopes if name)
        if found["kind"]:
            scopes.append("" if found["kind"] == "oneof" else found["scope"])
        elif found["open"]:
            scopes.append("")
        elif found["close"]:
            scopes.pop()
        elif found["rpc"]:
            ask, answer = (" ".join(found[k].split()) for k in ("ask", "answer"))
            yield match.start(), f"{scope}.{found['rpc']}: {ask} -> {answer}"
        elif found["field"]:
            kind = " ".join(found["type"].split())
            yield (match.start(),
                   f"{scope}.{found['field']} = {found['number']}: {kind}")
        else:
            yield match.start(), f"{scope}.{found['value']} = {found['constant']}"


def all_elements(tree):
    """{line of the record: (path, line)} over all protos."""
    places = {}
    for path in tree.files(".proto"):
        text = tree.text(path)
        for offset, entry in elements(text):
            places[entry] = (path, text.count("\n", 0, offset) + 1)
    return places


def recorded(tree):
    return tree.text(RECORD).split("\n") if tree.exists(RECORD) else []


def numbers(tree):
    places = all_elements(tree)
    lines = recorded(tree)
    for number, entry in enumerate(lines, 1):
        if entry and entry not in places:
            yield Finding(RECORD, number, f"{entry}: gone or changed in the "
                          "protos; older programs and journals have it so")
    for entry in sorted(places.keys() - set(lines)):
        yield Finding(*places[entry], f"{entry}: not in {RECORD}; when it is "
                      "as it shall stay: python3 tests/lint/proto_numbers.py")


RULES = {"proto-numbers": numbers}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--root", default=os.path.join(here, "../.."))
    tree = Tree(os.path.realpath(parser.parse_args().root))
    entries = {entry for entry in recorded(tree) if entry}
    with open(os.path.join(tree.root, RECORD), "w", encoding="utf-8") as file:
        for entry in sorted(entries | all_elements(tree).keys()):
            file.write(entry + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
