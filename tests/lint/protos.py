"""The public API explains itself: every element of a proto is commented."""

import re

from tree import Finding

ELEMENT = re.compile(
    r"^\s*(package|message|enum|oneof|service|rpc|extend)\b"
    r"|^\s*(repeated\s+|optional\s+)?[\w.]+(<[^>]*>)?\s+\w+\s*=\s*\d+"
    r"|^\s*\w+\s*=\s*-?\d+")
NOT_ELEMENT = re.compile(r"^\s*(syntax|import|option|reserved)\b")
UNSIGNED = re.compile(r"\b(uint32|uint64|fixed32|fixed64)\b")
ENUM = re.compile(r"\benum\s+(\w+)\s*\{([^}]*)\}")
VALUE = re.compile(r"^\s*(\w+)\s*=\s*(-?\d+)", re.MULTILINE)


def comments(tree):
    for path in tree.files(".proto"):
        before = ""
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if ELEMENT.match(line) and not NOT_ELEMENT.match(line) and \
                    not before.strip().startswith("//"):
                yield Finding(path, number, "no comment above: say what it "
                              "means, its unit and its range")
            before = line


def unsigned(tree):
    for path in tree.files(".proto"):
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if UNSIGNED.search(line.partition("//")[0]):
                yield Finding(path, number, "unsigned: use int32 or int64, "
                              "which every language has")


def enum_zero(tree):
    for path in tree.files(".proto"):
        text = tree.text(path)
        code = re.sub(r"//[^\n]*", lambda m: " " * len(m.group(0)), text)
        for match in ENUM.finditer(code):
            value = VALUE.search(match.group(2))
            line = code.count("\n", 0, match.start()) + 1
            if not value or value.group(2) != "0" or \
                    not value.group(1).endswith("_UNSPECIFIED"):
                yield Finding(path, line, f"enum {match.group(1)} must begin "
                              "with a value _UNSPECIFIED = 0")


RULES = {"proto-comments": comments, "proto-unsigned": unsigned,
         "proto-enum-zero": enum_zero}
